// SPDX-License-Identifier: MIT
// Handlers of bit scans and counts, and of double shifts. See execute.h.
#include "vmm/emulate/execute.h"
#include "vmm/emulate/alu.h"

bool execute_scan(struct emulation *emulation)
{
    const struct instruction *instruction = emulation->instruction;
    unsigned size = instruction->operand_size;
    uint64_t rflags = emulation->page->rflags;
    uint64_t source;
    uint64_t result;

    if (!rm_read(emulation, size, EMULATE_READ, &source))
        return false;
    result = emulation->page->gpr[instruction->reg];
    if (alu_scan((enum operation)instruction->operation, size, source, &result, &rflags))
        register_write(emulation, instruction->reg, size, result);
    emulation->page->rflags = rflags;
    return true;
}

bool execute_double_shift(struct emulation *emulation)
{
    const struct instruction *instruction = emulation->instruction;
    unsigned size = instruction->operand_size;
    uint64_t rflags = emulation->page->rflags;
    uint64_t count = instruction->flags & OPCODE_IMMEDIATE8 ? instruction->immediate
                                                            : emulation->page->gpr[GPR_RCX];
    uint64_t source = register_read(emulation, instruction->reg, size);
    uint64_t value;

    if (!rm_read(emulation, size, EMULATE_READ | EMULATE_WRITE, &value))
        return false;
    value = alu_double_shift((enum operation)instruction->operation, size, value, source, count,
                             &rflags);
    if (!rm_write(emulation, size, value))
        return false;
    emulation->page->rflags = rflags;
    return true;
}
