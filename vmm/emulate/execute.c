// SPDX-License-Identifier: MIT
// One handler per kind of operation, in a table. Each reads all operands, computes, writes memory,
// and only then registers and flags: a fault leaves the state as it was.
#include "vmm/emulate/execute.h"
#include "vmm/emulate/alu.h"

#define READ_WRITE (EMULATE_READ | EMULATE_WRITE)

static bool destination_is_register(const struct instruction *instruction)
{
    return instruction->form == FORM_REG_RM || instruction->form == FORM_REG_RM_IMM;
}

static bool destination_read(struct emulation *emulation, uint32_t access, uint64_t *value)
{
    const struct instruction *instruction = emulation->instruction;

    if (!destination_is_register(instruction))
        return rm_read(emulation, instruction->operand_size, access, value);
    *value = register_read(emulation, instruction->reg, instruction->operand_size);
    return true;
}

static bool destination_write(struct emulation *emulation, uint64_t value)
{
    const struct instruction *instruction = emulation->instruction;

    if (!destination_is_register(instruction))
        return rm_write(emulation, instruction->operand_size, value);
    register_write(emulation, instruction->reg, instruction->operand_size, value);
    return true;
}

static bool source_read(struct emulation *emulation, uint64_t *value)
{
    const struct instruction *instruction = emulation->instruction;

    switch ((enum operand_form)instruction->form) {
    case FORM_RM_REG:
        *value = register_read(emulation, instruction->reg, instruction->source_size);
        return true;
    case FORM_RM_IMM:
        *value = instruction->immediate;
        return true;
    case FORM_RM_ONE:
        *value = 1;
        return true;
    case FORM_RM_CL:
        *value = emulation->page->gpr[GPR_RCX] & 0xff;
        return true;
    case FORM_RM:
    case FORM_REG_RM:
    case FORM_REG_RM_IMM:
    case FORM_STRING:
        break;
    }
    return rm_read(emulation, instruction->source_size, EMULATE_READ, value);
}

static enum operation operation_of(const struct emulation *emulation)
{
    return (enum operation)emulation->instruction->operation;
}

static bool execute_binary(struct emulation *emulation)
{
    uint64_t rflags = emulation->page->rflags;
    uint64_t left;
    uint64_t right;
    uint64_t result;

    if (!source_read(emulation, &right) || !destination_read(emulation, READ_WRITE, &left))
        return false;
    result = alu_binary(operation_of(emulation), emulation->instruction->operand_size, left, right,
                        &rflags);
    if (!destination_write(emulation, result))
        return false;
    emulation->page->rflags = rflags;
    return true;
}

// CMP and TEST: flags only.
static bool execute_compare(struct emulation *emulation)
{
    uint64_t left;
    uint64_t right;

    if (!source_read(emulation, &right) || !destination_read(emulation, EMULATE_READ, &left))
        return false;
    (void)alu_binary(operation_of(emulation), emulation->instruction->operand_size, left, right,
                     &emulation->page->rflags);
    return true;
}

static bool execute_shift(struct emulation *emulation)
{
    uint64_t rflags = emulation->page->rflags;
    uint64_t value;
    uint64_t count;

    if (!source_read(emulation, &count) || !destination_read(emulation, READ_WRITE, &value))
        return false;
    value = alu_shift(operation_of(emulation), emulation->instruction->operand_size, value, count,
                      &rflags);
    if (!destination_write(emulation, value))
        return false;
    emulation->page->rflags = rflags;
    return true;
}

static bool execute_unary(struct emulation *emulation)
{
    uint64_t rflags = emulation->page->rflags;
    uint64_t value;

    if (!destination_read(emulation, READ_WRITE, &value))
        return false;
    value =
        alu_unary(operation_of(emulation), emulation->instruction->operand_size, value, &rflags);
    if (!destination_write(emulation, value))
        return false;
    emulation->page->rflags = rflags;
    return true;
}

// Both halves: rDX:rAX, or AX for bytes.
static void write_accumulator(struct emulation *emulation, unsigned size, uint64_t high,
                              uint64_t low)
{
    if (size == 1) {
        register_write(emulation, GPR_RAX, 2, high << 8 | low);
    } else {
        register_write(emulation, GPR_RAX, size, low);
        register_write(emulation, GPR_RDX, size, high);
    }
}

// MUL and IMUL of the accumulator: rDX:rAX, or AX for bytes.
static bool execute_multiply(struct emulation *emulation)
{
    unsigned size = emulation->instruction->operand_size;
    uint64_t factor;
    uint64_t high;
    uint64_t low;

    if (!rm_read(emulation, size, EMULATE_READ, &factor))
        return false;
    low = alu_multiply(operation_of(emulation) == OPERATION_IMUL, size,
                       register_read(emulation, GPR_RAX, size), factor, &high,
                       &emulation->page->rflags);
    write_accumulator(emulation, size, high, low);
    return true;
}

// DIV and IDIV of the accumulator: rDX:rAX, or AX for bytes. The flags are undefined: they stay.
static bool execute_divide(struct emulation *emulation)
{
    unsigned size = emulation->instruction->operand_size;
    bool is_signed = operation_of(emulation) == OPERATION_IDIV;
    uint64_t ax = emulation->page->gpr[GPR_RAX] & 0xffff;
    uint64_t high = size == 1 ? ax >> 8 : register_read(emulation, GPR_RDX, size);
    uint64_t low = register_read(emulation, GPR_RAX, size);
    uint64_t divisor;

    if (!rm_read(emulation, size, EMULATE_READ, &divisor))
        return false;
    if (!alu_divide(is_signed, size, &high, &low, divisor))
        return operand_fault(emulation, EMULATE_VECTOR_DIVIDE);
    write_accumulator(emulation, size, high, low);
    return true;
}

static bool execute_multiply_register(struct emulation *emulation)
{
    const struct instruction *instruction = emulation->instruction;
    unsigned size = instruction->operand_size;
    uint64_t left;
    uint64_t right = instruction->immediate;
    uint64_t high;

    if (!rm_read(emulation, size, EMULATE_READ, &left))
        return false;
    if (instruction->form == FORM_REG_RM)
        right = register_read(emulation, instruction->reg, size);
    left = alu_multiply(true, size, left, right & alu_mask(size), &high, &emulation->page->rflags);
    register_write(emulation, instruction->reg, size, left);
    return true;
}

// MOV and MOVZX: the source is zero-extended already.
static bool execute_move(struct emulation *emulation)
{
    uint64_t value;

    return source_read(emulation, &value) && destination_write(emulation, value);
}

// MOVBE
static bool execute_move_swapped(struct emulation *emulation)
{
    uint64_t value;

    if (!source_read(emulation, &value))
        return false;
    return destination_write(emulation, __builtin_bswap64(value) >>
                                            (64 - 8 * emulation->instruction->operand_size));
}

static bool execute_move_signed(struct emulation *emulation)
{
    uint64_t value;

    if (!source_read(emulation, &value))
        return false;
    return destination_write(emulation,
                             alu_sign_extend(value, emulation->instruction->source_size));
}

// A selector is stored as two bytes whatever the operand size; a register takes it zero-extended.
static bool execute_move_from_segment(struct emulation *emulation)
{
    const struct instruction *instruction = emulation->instruction;
    uint32_t size = instruction->memory ? 2 : instruction->operand_size;

    return rm_write(emulation, size, emulation->page->segment[instruction->reg & 7].selector);
}

// All of CR0 that fits: registers of 32 and 64 bits get more than the machine status word.
static bool execute_store_machine_status(struct emulation *emulation)
{
    const struct instruction *instruction = emulation->instruction;

    return rm_write(emulation, instruction->memory ? 2 : instruction->operand_size,
                    emulation->page->cr0);
}

// The load happens whether or not the condition holds.
static bool execute_conditional_move(struct emulation *emulation)
{
    const struct instruction *instruction = emulation->instruction;
    uint64_t value;

    if (!source_read(emulation, &value))
        return false;
    if (!alu_condition(instruction->opcode, emulation->page->rflags))
        value = register_read(emulation, instruction->reg, instruction->operand_size);
    return destination_write(emulation, value);
}

static bool execute_set(struct emulation *emulation)
{
    return rm_write(emulation, 1,
                    alu_condition(emulation->instruction->opcode, emulation->page->rflags) ? 1 : 0);
}

static bool execute_exchange(struct emulation *emulation)
{
    const struct instruction *instruction = emulation->instruction;
    uint64_t theirs;
    uint64_t ours = register_read(emulation, instruction->reg, instruction->operand_size);

    if (!destination_read(emulation, READ_WRITE, &theirs) || !destination_write(emulation, ours))
        return false;
    register_write(emulation, instruction->reg, instruction->operand_size, theirs);
    return true;
}

static bool execute_exchange_add(struct emulation *emulation)
{
    const struct instruction *instruction = emulation->instruction;
    unsigned size = instruction->operand_size;
    uint64_t rflags = emulation->page->rflags;
    uint64_t before;
    uint64_t sum;

    if (!destination_read(emulation, READ_WRITE, &before))
        return false;
    sum = alu_binary(OPERATION_ADD, size, before, register_read(emulation, instruction->reg, size),
                     &rflags);
    if (instruction->memory && !destination_write(emulation, sum))
        return false;
    register_write(emulation, instruction->reg, size, before);
    emulation->page->rflags = rflags;
    // Last, for "xadd reg, reg" with the same register twice.
    return instruction->memory || destination_write(emulation, sum);
}

// The destination is written in either case, as the processor does.
static bool execute_compare_exchange(struct emulation *emulation)
{
    const struct instruction *instruction = emulation->instruction;
    unsigned size = instruction->operand_size;
    uint64_t rflags = emulation->page->rflags;
    uint64_t before;
    uint64_t after;

    if (!destination_read(emulation, READ_WRITE, &before))
        return false;
    (void)alu_binary(OPERATION_CMP, size, register_read(emulation, GPR_RAX, size), before, &rflags);
    after = rflags & RFLAGS_ZF ? register_read(emulation, instruction->reg, size) : before;
    if (!destination_write(emulation, after))
        return false;
    if (!(rflags & RFLAGS_ZF))
        register_write(emulation, GPR_RAX, size, before);
    emulation->page->rflags = rflags;
    return true;
}

static uint64_t pair_part(const uint64_t pair[2], unsigned part, unsigned size)
{
    return size == 8 ? pair[part] : (pair[0] >> (32 * part)) & 0xffffffffu;
}

static void pair_set(const struct emulation *emulation, uint64_t pair[2], unsigned size, bool equal)
{
    uint64_t low = register_read(emulation, equal ? GPR_RBX : GPR_RAX, size);
    uint64_t high = register_read(emulation, equal ? GPR_RCX : GPR_RDX, size);

    pair[0] = size == 8 ? low : low | (high << 32);
    pair[1] = size == 8 ? high : 0;
}

// CMPXCHG8B and CMPXCHG16B, the one access that is wider than a register.
static bool execute_compare_exchange_pair(struct emulation *emulation)
{
    const struct instruction *instruction = emulation->instruction;
    const struct emulate_operations *operations = emulation->operations;
    struct emulate_fault *fault = &emulation->result->fault;
    unsigned size = instruction->operand_size == 8 ? 8 : 4;
    uint64_t before[2] = {0};
    uint64_t expected[2];
    uint64_t after[2];
    gva_t linear = gva(0);
    bool equal;

    if (!operand_linear(emulation, instruction->segment, operand_offset(emulation), 2 * size,
                        READ_WRITE, &linear))
        return false;
    if (size == 8 && !is_aligned(linear.value, 16))
        return operand_fault_code(emulation, EMULATE_VECTOR_PROTECTION);
    if (!operand_status(emulation, operations->read(emulation->context, linear, before, 2 * size,
                                                    READ_WRITE, fault)))
        return false;
    pair_set(emulation, expected, size, false);
    pair_set(emulation, after, size, true);
    equal = before[0] == expected[0] && before[1] == expected[1];
    if (!operand_status(emulation, operations->write(emulation->context, linear,
                                                     equal ? after : before, 2 * size, fault)))
        return false;
    if (!equal) {
        register_write(emulation, GPR_RAX, size, pair_part(before, 0, size));
        register_write(emulation, GPR_RDX, size, pair_part(before, 1, size));
    }
    emulation->page->rflags =
        (emulation->page->rflags & ~(uint64_t)RFLAGS_ZF) | (equal ? RFLAGS_ZF : 0);
    return true;
}

// A register's bit offset reaches beyond the operand: the address moves with it.
static void bit_address(struct emulation *emulation, uint64_t offset)
{
    const struct instruction *instruction = emulation->instruction;
    unsigned size = instruction->operand_size;
    unsigned shift = size == 8 ? 6 : size == 4 ? 5 : 4;
    int64_t units = (int64_t)alu_sign_extend(offset, size) >> shift;

    if (instruction->memory && instruction->form == FORM_RM_REG)
        emulation->bit_displacement = (uint64_t)units * size;
}

static bool execute_bit(struct emulation *emulation)
{
    uint64_t rflags = emulation->page->rflags;
    bool writes = operation_of(emulation) != OPERATION_BT;
    uint64_t offset;
    uint64_t value;

    if (!source_read(emulation, &offset))
        return false;
    bit_address(emulation, offset);
    if (!destination_read(emulation, writes ? READ_WRITE : EMULATE_READ, &value))
        return false;
    value = alu_bit(operation_of(emulation), emulation->instruction->operand_size, value, offset,
                    &rflags);
    if (writes && !destination_write(emulation, value))
        return false;
    emulation->page->rflags = rflags;
    return true;
}

// Width of the stack pointer in bytes.
static unsigned stack_size(const struct emulation *emulation)
{
    if (emulation->mode == 64)
        return 8;
    return emulation->page->segment[SEGMENT_SS].access_rights & SEGMENT_BIG ? 4 : 2;
}

static bool execute_push(struct emulation *emulation)
{
    unsigned size = emulation->instruction->operand_size;
    unsigned width = stack_size(emulation);
    uint64_t top = (emulation->page->gpr[GPR_RSP] - size) & alu_mask(width);
    uint64_t value;

    if (!rm_read(emulation, size, EMULATE_READ, &value) ||
        !memory_write(emulation, SEGMENT_SS, top, size, value))
        return false;
    register_write(emulation, GPR_RSP, width, top);
    return true;
}

// An operand based on the stack pointer is addressed after the increment.
static bool execute_pop(struct emulation *emulation)
{
    unsigned size = emulation->instruction->operand_size;
    unsigned width = stack_size(emulation);
    uint64_t before = emulation->page->gpr[GPR_RSP];
    uint64_t value;

    if (!memory_read(emulation, SEGMENT_SS, before & alu_mask(width), size, EMULATE_READ, &value))
        return false;
    register_write(emulation, GPR_RSP, width, before + size);
    if (rm_write(emulation, size, value))
        return true;
    emulation->page->gpr[GPR_RSP] = before;
    return false;
}

typedef bool (*execute_function)(struct emulation *emulation);

static const execute_function handlers[OPERATION_COUNT] = {
    [OPERATION_ADD] = execute_binary,
    [OPERATION_OR] = execute_binary,
    [OPERATION_ADC] = execute_binary,
    [OPERATION_SBB] = execute_binary,
    [OPERATION_AND] = execute_binary,
    [OPERATION_SUB] = execute_binary,
    [OPERATION_XOR] = execute_binary,
    [OPERATION_CMP] = execute_compare,
    [OPERATION_TEST] = execute_compare,
    [OPERATION_ROL] = execute_shift,
    [OPERATION_ROR] = execute_shift,
    [OPERATION_RCL] = execute_shift,
    [OPERATION_RCR] = execute_shift,
    [OPERATION_SHL] = execute_shift,
    [OPERATION_SHR] = execute_shift,
    [OPERATION_SAR] = execute_shift,
    [OPERATION_INC] = execute_unary,
    [OPERATION_DEC] = execute_unary,
    [OPERATION_NOT] = execute_unary,
    [OPERATION_NEG] = execute_unary,
    [OPERATION_MUL] = execute_multiply,
    [OPERATION_IMUL] = execute_multiply,
    [OPERATION_IMUL2] = execute_multiply_register,
    [OPERATION_MOV] = execute_move,
    [OPERATION_MOV_FROM_SEGMENT] = execute_move_from_segment,
    [OPERATION_SMSW] = execute_store_machine_status,
    [OPERATION_MOVZX] = execute_move,
    [OPERATION_MOVSX] = execute_move_signed,
    [OPERATION_CMOV] = execute_conditional_move,
    [OPERATION_SET] = execute_set,
    [OPERATION_XCHG] = execute_exchange,
    [OPERATION_XADD] = execute_exchange_add,
    [OPERATION_CMPXCHG] = execute_compare_exchange,
    [OPERATION_CMPXCHG_PAIR] = execute_compare_exchange_pair,
    [OPERATION_BT] = execute_bit,
    [OPERATION_BTS] = execute_bit,
    [OPERATION_BTR] = execute_bit,
    [OPERATION_BTC] = execute_bit,
    [OPERATION_BSF] = execute_scan,
    [OPERATION_BSR] = execute_scan,
    [OPERATION_TZCNT] = execute_scan,
    [OPERATION_LZCNT] = execute_scan,
    [OPERATION_POPCNT] = execute_scan,
    [OPERATION_SHLD] = execute_double_shift,
    [OPERATION_SHRD] = execute_double_shift,
    [OPERATION_DIV] = execute_divide,
    [OPERATION_IDIV] = execute_divide,
    [OPERATION_MOVBE] = execute_move_swapped,
    [OPERATION_PUSH] = execute_push,
    [OPERATION_POP] = execute_pop,
    [OPERATION_MOVS] = execute_string,
    [OPERATION_CMPS] = execute_string,
    [OPERATION_STOS] = execute_string,
    [OPERATION_LODS] = execute_string,
    [OPERATION_SCAS] = execute_string,
    [OPERATION_INS] = execute_string,
    [OPERATION_OUTS] = execute_string,
};

bool execute(struct emulation *emulation)
{
    return handlers[emulation->instruction->operation](emulation);
}
