// SPDX-License-Identifier: MIT
// What the manual leaves undefined. See native_flags.h.
#include "test/host/emulate/native_flags.h"
#include "vmm/emulate/alu.h"

unsigned native_shift_count(const struct instruction *instruction, uint64_t rcx)
{
    uint64_t count = instruction->immediate;

    if (instruction->form == FORM_RM_ONE)
        count = 1;
    else if (instruction->form == FORM_RM_CL || !(instruction->flags & OPCODE_IMMEDIATE8))
        count = rcx;
    return (unsigned)(count & (instruction->operand_size == 8 ? 63 : 31));
}

bool native_is_double_shift(const struct instruction *instruction)
{
    return instruction->operation == OPERATION_SHLD || instruction->operation == OPERATION_SHRD;
}

uint64_t native_defined_flags(const struct instruction *instruction, uint64_t rcx)
{
    enum operation operation = (enum operation)instruction->operation;
    uint64_t flags = RFLAGS_ARITHMETIC | RFLAGS_DF;

    if (operation >= OPERATION_ROL && operation <= OPERATION_SAR) {
        unsigned count = native_shift_count(instruction, rcx);

        if (count > 1)
            flags &= ~(uint64_t)RFLAGS_OF;
        if (count > 0 && operation >= OPERATION_SHL)
            flags &= ~(uint64_t)RFLAGS_AF;
        if (count >= 8u * instruction->operand_size && operation >= OPERATION_SHL)
            flags &= ~(uint64_t)RFLAGS_CF;
    }
    if (native_is_double_shift(instruction)) {
        unsigned count = native_shift_count(instruction, rcx);

        if (count > 1)
            flags &= ~(uint64_t)RFLAGS_OF;
        if (count > 0)
            flags &= ~(uint64_t)RFLAGS_AF;
    }
    if (operation == OPERATION_BSF || operation == OPERATION_BSR)
        flags = RFLAGS_ZF | RFLAGS_DF;
    if (operation == OPERATION_TZCNT || operation == OPERATION_LZCNT)
        flags = RFLAGS_CF | RFLAGS_ZF | RFLAGS_DF;
    if (operation == OPERATION_DIV || operation == OPERATION_IDIV)
        flags = RFLAGS_DF;
    if (operation >= OPERATION_MUL && operation <= OPERATION_IMUL2)
        flags &= ~(uint64_t)(RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF);
    if (operation >= OPERATION_BT && operation <= OPERATION_BTC)
        flags &= ~(uint64_t)(RFLAGS_OF | RFLAGS_SF | RFLAGS_AF | RFLAGS_PF);
    if (operation == OPERATION_AND || operation == OPERATION_OR || operation == OPERATION_XOR ||
        operation == OPERATION_TEST)
        flags &= ~(uint64_t)RFLAGS_AF;
    return flags;
}
