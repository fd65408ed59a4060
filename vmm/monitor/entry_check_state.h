// SPDX-License-Identifier: MIT
// What the files of the entry checker share: the dump, the report, and the fields by name.
#pragma once

#include "kernel/abi/vmcs_fields.h"
#include "vmm/monitor/entry_check.h"

#define FIELD_ROW(name, encoding, text, need) FIELD_##name = (encoding),
enum vmcs_field { VMCS_FIELDS(FIELD_ROW) };
#undef FIELD_ROW

// Capability words, by the number of their MSR.
enum capability {
    CAPABILITY_PIN = 0x481,
    CAPABILITY_PRIMARY = 0x482,
    CAPABILITY_EXIT = 0x483,
    CAPABILITY_ENTRY = 0x484,
    CAPABILITY_MISC = 0x485,
    CAPABILITY_CR0_FIXED0 = 0x486,
    CAPABILITY_CR0_FIXED1 = 0x487,
    CAPABILITY_CR4_FIXED0 = 0x488,
    CAPABILITY_CR4_FIXED1 = 0x489,
    CAPABILITY_SECONDARY = 0x48b,
};

struct entry_state {
    const struct vcpu_field *fields;
    size_t count;
    char *text;
    size_t size;
    size_t length;
    size_t broken;
};

// A field's value; 0 where the dump has none.
uint64_t entry_field(const struct entry_state *state, uint32_t encoding);
bool entry_has(const struct entry_state *state, uint32_t encoding);

// Adds a line when `holds` is false. `rule` says what has to hold.
void entry_rule(struct entry_state *state, bool holds, const char *section, uint32_t field,
                const char *rule);

// Adds a line when bits of `ones` are 0 or bits of `zeroes` are 1 in the field.
void entry_bits(struct entry_state *state, const char *section, uint32_t field, uint64_t ones,
                uint64_t zeroes, const char *why);

static inline bool entry_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

// Bits of a physical address that this processor lacks; 0 where the dump does not say.
static inline uint64_t entry_beyond_physical(const struct entry_state *state)
{
    uint64_t bits = entry_field(state, VCPU_FIELD_PHYSICAL_BITS);

    return bits == 0 || bits > 63 ? 0 : ~((1ull << bits) - 1);
}

static inline bool entry_pat_valid(uint64_t pat)
{
    for (unsigned i = 0; i < 8; i++, pat >>= 8) {
        uint64_t type = pat & 0xff;

        if (type > 7 || type == 2 || type == 3) {
            return false;
        }
    }
    return true;
}

// Control bits that rules of several files depend on.
#define CONTROL_PIN_NMI          (1u << 3)
#define CONTROL_PIN_VIRTUAL_NMI  (1u << 5)
#define CONTROL_PIN_TIMER        (1u << 6)
#define CONTROL_PIN_POSTED       (1u << 7)
#define CONTROL_NMI_WINDOW       (1u << 22)
#define CONTROL_TPR_SHADOW       (1u << 21)
#define CONTROL_IO_BITMAPS       (1u << 25)
#define CONTROL_MSR_BITMAPS      (1u << 28)
#define CONTROL_SECONDARY        (1u << 31)
#define CONTROL_EPT              (1u << 1)
#define CONTROL_VPID             (1u << 5)
#define CONTROL_UNRESTRICTED     (1u << 7)
#define CONTROL_EXIT_HOST_64     (1u << 9)
#define CONTROL_EXIT_LOAD_PAT    (1u << 19)
#define CONTROL_EXIT_LOAD_EFER   (1u << 21)
#define CONTROL_EXIT_SAVE_TIMER  (1u << 22)
#define CONTROL_ENTRY_LOAD_DEBUG (1u << 2)
#define CONTROL_ENTRY_IA32E      (1u << 9)
#define CONTROL_ENTRY_LOAD_PAT   (1u << 14)
#define CONTROL_ENTRY_LOAD_EFER  (1u << 15)

// The secondary controls in force: 0 unless the primary controls turn them on.
static inline uint64_t entry_secondary(const struct entry_state *state)
{
    bool on = (entry_field(state, FIELD_PRIMARY_CONTROLS) & CONTROL_SECONDARY) != 0;

    return on ? entry_field(state, FIELD_SECONDARY_CONTROLS) : 0;
}

static inline bool entry_ia32e(const struct entry_state *state)
{
    return (entry_field(state, FIELD_ENTRY_CONTROLS) & CONTROL_ENTRY_IA32E) != 0;
}

// CR0 and CR4 against the fixed-bit MSRs; bits of `free` in CR0 may be 0.
void entry_check_cr_fixed(struct entry_state *state, const char *section, uint32_t cr0,
                          uint32_t cr4, uint64_t free);

void entry_check_controls(struct entry_state *state);
void entry_check_event(struct entry_state *state);
void entry_check_host(struct entry_state *state);
void entry_check_guest_registers(struct entry_state *state);
void entry_check_guest_segments(struct entry_state *state);
void entry_check_guest_rest(struct entry_state *state);
void entry_check_guest_pdptes(struct entry_state *state);
