// SPDX-License-Identifier: MIT
// The processor's own accesses on behalf of an instruction: descriptor tables and task-state
// segments, which are supervisor's whatever the privilege level, and the memory operand of an
// instruction that exited with the instruction-information field. Used by the handlers of such
// exits; one per exit, on their stack. Pure but for the guest's memory.
#pragma once

#include "vmm/emulate/operand.h"
#include "vmm/monitor/machine.h"

#define SYSTEM_GROUPS                                                                              \
    (VCPU_GROUP_RIP | VCPU_GROUP_CONTROL | VCPU_GROUP_SEGMENTS | VCPU_GROUP_TABLES)

// Descriptor bits, in the access-rights layout of struct vcpu_segment.
#define RIGHTS_TYPE        0xfu
#define RIGHTS_CODE_DATA   (1u << 4) // S
#define RIGHTS_PRESENT     (1u << 7)
#define RIGHTS_GRANULARITY (1u << 15)
#define RIGHTS_MASK        0xf0ffu
#define RIGHTS_DPL(rights) ((rights) >> 5 & 3)

enum system_type {
    SYSTEM_TSS_16 = 1,
    SYSTEM_LDT = 2,
    SYSTEM_TSS_16_BUSY = 3,
    SYSTEM_TSS = 9, // 32-bit, or 64-bit in IA-32e mode
    SYSTEM_TSS_BUSY = 11,
};
#define SYSTEM_BUSY 2u // what makes a TSS type a busy one

// The accesses of one exit. A function that returns false has recorded what came of it, for
// system_access_end.
struct system_access {
    struct machine *machine;
    struct emulation emulation;
    struct emulate_result result;
};

// Needs SYSTEM_GROUPS but TABLES. `as_supervisor`: else with the guest's privilege level.
void system_access_begin(struct system_access *access, struct machine *machine, bool as_supervisor);

// The outcome after a function returned false: a fault for the guest, or the end of the VM.
enum outcome system_access_end(struct system_access *access);

// Records a fault with an error code; returns false.
bool system_fault(struct system_access *access, unsigned vector, uint32_t error_code);

// 1 to 8 bytes at a linear address, zero-extended.
bool system_read(struct system_access *access, uint64_t linear, uint32_t size,
                 uint64_t *value) MUST_CHECK;
bool system_write(struct system_access *access, uint64_t linear, uint32_t size,
                  uint64_t value) MUST_CHECK;
// The checks of a write to [linear, linear + size), which may cross a page, without the write.
bool system_probe(struct system_access *access, uint64_t linear, uint32_t size) MUST_CHECK;

// A descriptor as it was read. `segment` is what loading it would give; its type is not checked.
struct descriptor {
    uint64_t linear; // where it is
    uint64_t low;
    struct vcpu_segment segment;
};

// Reads the descriptor of a selector that is not null. Outside of its table, or with `global` in
// the LDT: a fault `vector` with the selector. `wide`: 16 bytes, as system descriptors of IA-32e
// mode are.
bool system_descriptor(struct system_access *access, uint16_t selector, bool global, bool wide,
                       unsigned vector, struct descriptor *descriptor) MUST_CHECK;

// Sets (or clears) bits of a descriptor's type in memory.
bool system_set_type(struct system_access *access, const struct descriptor *descriptor,
                     uint32_t set, uint32_t clear) MUST_CHECK;

// Loads LDTR as LLDT and task switches do; `vector` is raised for what is not an LDT.
bool system_load_ldt(struct system_access *access, uint16_t selector, unsigned vector) MUST_CHECK;

// The memory operand that "VM-Exit Instruction-Information Field" and the exit qualification name.
struct system_operand {
    uint8_t segment;
    uint64_t offset;
};
struct system_operand system_operand(const struct vcpu_page *page);

// The operand size in bytes, by the instruction's prefixes: for SLDT and STR nothing else tells,
// and for RDRAND and LGDT the instruction information of Bochs is wrong.
bool system_operand_width(struct system_access *access, unsigned *width) MUST_CHECK;

// Where bytes of it are, with the checks of segmentation for `access_kind`.
bool system_operand_linear(struct system_access *access, struct system_operand operand,
                           uint32_t size, uint32_t access_kind, uint64_t *linear) MUST_CHECK;

// True in IA-32e mode.
static inline bool system_is_long(const struct vcpu_page *page)
{
    return (page->efer & 1u << 10) != 0; // LMA
}
