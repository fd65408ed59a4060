// SPDX-License-Identifier: MIT
// The tables of what Bochs 2.7 does otherwise at VM entries, and reading the checker's verdict with
// them. Called by entry_fuzz.c.
#include "test/emulator/entry_fuzz_bochs.h"

#include "arch/x86/virt/vmx/fields.h"
#include "kernel/abi/vcpu.h"
#include "kernel/core/log.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/processor.h"
#include "kernel/lib/string.h"

static struct deviation deviations[] = {
    {"Checks on Guest RIP, RFLAGS, and SSP: guest RIP", "must be canonical",
     "enters, and the first fetch raises #GP", 0, 0},
    {"Checks on Guest Non-Register State: guest interruptibility",
     "no NMI can be injected under blocking by NMI", "injects the NMI", 0, 0},
    {"Checks on Guest Control Registers, Debug Registers, and MSRs: guest IA32_DEBUGCTL",
     "reserved", "checks none of its bits", 0, 0},
    {"Checks on Guest Non-Register State: guest pending debug exceptions", "reserved",
     "checks bits 31:0 only", 0xffffffff00000000, 0},
    {"Checks on Guest Segment Registers: guest CS access rights", "that of SS",
     "compares its DPL with the RPL of CS instead", 0, 0},
};

bool text_holds(const char *line, size_t length, const char *part)
{
    size_t size = strlen(part);

    for (size_t i = 0; i + size <= length; i++) {
        if (memcmp(line + i, part, size) == 0) {
            return true;
        }
    }
    return false;
}

// The hexadecimal number at the end of a line.
static uint64_t last_number(const char *line, size_t length)
{
    uint64_t value = 0;
    size_t i = length;

    while (i > 0 && line[i - 1] != 'x') {
        i--;
    }
    for (; i < length; i++) {
        value = value << 4 | (uint64_t)(line[i] <= '9' ? line[i] - '0' : line[i] - 'a' + 10);
    }
    return value;
}

static struct deviation *deviation_of(const char *line, size_t length)
{
    for (size_t i = 0; i < ARRAY_COUNT(deviations); i++) {
        struct deviation *deviation = &deviations[i];

        if (text_holds(line, length, deviation->section) &&
            text_holds(line, length, deviation->rule) &&
            (deviation->ignored == 0 || (last_number(line, length) & ~deviation->ignored) == 0)) {
            return deviation;
        }
    }
    return NULL;
}

// CS.DPL is held against the RPL of CS, not against SS.DPL: equal without conforming, else not
// above.
static bool code_privilege_differs(const struct vcpu_field *fields)
{
    uint64_t rights = field_value(fields, VMCS_GUEST_CS_RIGHTS);
    uint64_t rpl = field_value(fields, VMCS_GUEST_CS_SELECTOR) & 3;
    uint64_t dpl = rights >> 5 & 3;
    bool virtual_8086 = (field_value(fields, VMCS_GUEST_RFLAGS) & RFLAGS_VM) != 0;

    return !virtual_8086 &&
           (((rights & 13) == 9 && dpl != rpl) || ((rights & 13) == 13 && dpl > rpl));
}

// A rule that is checked before the guest's state: when it is broken, the instruction fails and the
// host's state is not loaded.
static bool is_early(const char *line, size_t length)
{
    return text_holds(line, length, "Control Fields:") ||
           text_holds(line, length, "Checks on Host") ||
           text_holds(line, length, "Address-Space Size:");
}

size_t bochs_count_binding(const char *text, struct deviation **only, size_t *early)
{
    size_t binding = 0;

    *early = 0;
    *only = NULL;
    for (const char *line = text; *line != 0;) {
        const char *end = line;
        struct deviation *deviation;

        while (*end != '\n') {
            end++;
        }
        deviation = deviation_of(line, (size_t)(end - line));
        binding += deviation == NULL;
        *early += deviation == NULL && is_early(line, (size_t)(end - line));
        *only = deviation != NULL ? deviation : *only;
        line = end + 1;
    }
    return binding;
}

// "There may be processors" that demand this, the manual says; Bochs' is one.
static bool nmi_under_sti_blocking(const struct vcpu_field *fields)
{
    return (field_value(fields, VMCS_ENTRY_INTERRUPTION) & 0x80000700) == 0x80000200 &&
           (field_value(fields, VMCS_GUEST_INTERRUPTIBILITY) & VCPU_BLOCKED_BY_STI) != 0;
}

static struct extra extras[] = {
    {"the DPL of CS must fit the RPL of CS", code_privilege_differs, 0},
    {"no NMI can be injected under blocking by STI", nmi_under_sti_blocking, 0},
};

struct extra *bochs_refuses(const struct vcpu_field *fields)
{
    for (size_t i = 0; i < ARRAY_COUNT(extras); i++) {
        if (extras[i].refuses(fields)) {
            return &extras[i];
        }
    }
    return NULL;
}

uint32_t bochs_report(bool all)
{
    uint32_t wrong = 0;

    for (size_t i = 0; i < ARRAY_COUNT(deviations); i++) {
        log_line(LOG_MACHINE, "deviation met %u times: %s: %s: Bochs %s", deviations[i].met,
                 deviations[i].section, deviations[i].rule, deviations[i].bochs);
        wrong += all && deviations[i].met == 0;
    }
    for (size_t i = 0; i < ARRAY_COUNT(extras); i++) {
        log_line(LOG_MACHINE, "refused by Bochs alone %u times: %s", extras[i].met, extras[i].rule);
        wrong += all && extras[i].met == 0;
    }
    return wrong;
}
