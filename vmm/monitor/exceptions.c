// SPDX-License-Identifier: MIT
// Exceptions of the guest: what two of them make together, the notes about the last ones, and their
// names. See exceptions.h.
#include "vmm/monitor/exceptions.h"

#include "kernel/lib/format.h"
#include "vmm/monitor/event.h"

#define CONTRIBUTORY (1u << 0 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 21)
#define PAGE_FAULTS  (1u << 14 | 1u << 20) // virtualisation exceptions count as page faults

static uint32_t vector_bit(uint32_t word)
{
    bool hardware = (word & VCPU_EVENT_TYPE_MASK) == VCPU_EVENT_EXCEPTION;

    return hardware && (word & 0xff) < 32 ? 1u << (word & 0xff) : 0;
}

enum exception_result exception_compose(uint32_t during, uint32_t word)
{
    uint32_t first = during & VCPU_EVENT_VALID ? vector_bit(during) : 0;
    uint32_t second = vector_bit(word);

    if ((first & 1u << VECTOR_DOUBLE_FAULT) && (second & (CONTRIBUTORY | PAGE_FAULTS))) {
        return EXCEPTION_SHUTDOWN;
    }
    if (((first & CONTRIBUTORY) && (second & CONTRIBUTORY)) ||
        ((first & PAGE_FAULTS) && (second & (CONTRIBUTORY | PAGE_FAULTS)))) {
        return EXCEPTION_DOUBLE_FAULT;
    }
    return EXCEPTION_DELIVERED;
}

void exception_note(struct exception_trail *trail, const struct exception_note *note)
{
    trail->note[trail->total++ % EXCEPTION_TRAIL] = *note;
}

void exception_name(uint32_t word, uint32_t error_code, char *text, unsigned size)
{
    static const char names[][4] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM",
                                    "#DF", "#9",  "#TS", "#NP", "#SS", "#GP", "#PF", "#15",
                                    "#MF", "#AC", "#MC", "#XM", "#VE", "#CP"};
    uint32_t vector = word & 0xff;
    uint32_t type = word & VCPU_EVENT_TYPE_MASK;
    size_t length;

    if (type == VCPU_EVENT_EXTERNAL || type == VCPU_EVENT_SOFTWARE_INTERRUPT) {
        (void)format_text(text, size, "%s 0x%x", type == VCPU_EVENT_EXTERNAL ? "interrupt" : "int",
                          vector);
        return;
    }
    length = vector < ARRAY_COUNT(names) ? format_text(text, size, "%s", names[vector])
                                         : format_text(text, size, "exception %u", vector);
    if ((word & VCPU_EVENT_ERROR_CODE) && length < size) {
        (void)format_text(text + length, size - length, "(0x%x)", error_code);
    }
}
