// SPDX-License-Identifier: MIT
// MOVS, CMPS, STOS, LODS, SCAS, INS and OUTS, alone or repeated. Registers move after each
// iteration, so a fault in the middle leaves what the processor would leave.
#include "vmm/emulate/execute.h"
#include "vmm/emulate/alu.h"

// RSI, RDI or RCX, as wide as the address size.
static uint64_t pointer_of(const struct emulation *emulation, enum gpr_index index)
{
    return emulation->page->gpr[index] & alu_mask(emulation->instruction->address_size);
}

static void advance_pointer(struct emulation *emulation, enum gpr_index index)
{
    const struct instruction *instruction = emulation->instruction;
    uint64_t step = instruction->operand_size;

    if (emulation->page->rflags & RFLAGS_DF)
        step = -step;
    register_write(emulation, index, instruction->address_size, emulation->page->gpr[index] + step);
}

static bool read_source(struct emulation *emulation, uint64_t *value)
{
    const struct instruction *instruction = emulation->instruction;

    return memory_read(emulation, instruction->segment, pointer_of(emulation, GPR_RSI),
                       instruction->operand_size, EMULATE_READ, value);
}

static bool read_destination(struct emulation *emulation, uint64_t *value)
{
    return memory_read(emulation, SEGMENT_ES, pointer_of(emulation, GPR_RDI),
                       emulation->instruction->operand_size, EMULATE_READ, value);
}

static bool write_destination(struct emulation *emulation, uint64_t value)
{
    return memory_write(emulation, SEGMENT_ES, pointer_of(emulation, GPR_RDI),
                        emulation->instruction->operand_size, value);
}

static bool iterate_movs(struct emulation *emulation)
{
    uint64_t value;

    if (!read_source(emulation, &value) || !write_destination(emulation, value))
        return false;
    advance_pointer(emulation, GPR_RSI);
    advance_pointer(emulation, GPR_RDI);
    return true;
}

static bool iterate_cmps(struct emulation *emulation)
{
    uint64_t left;
    uint64_t right;

    if (!read_source(emulation, &left) || !read_destination(emulation, &right))
        return false;
    (void)alu_binary(OPERATION_CMP, emulation->instruction->operand_size, left, right,
                     &emulation->page->rflags);
    advance_pointer(emulation, GPR_RSI);
    advance_pointer(emulation, GPR_RDI);
    return true;
}

static bool iterate_scas(struct emulation *emulation)
{
    unsigned size = emulation->instruction->operand_size;
    uint64_t right;

    if (!read_destination(emulation, &right))
        return false;
    (void)alu_binary(OPERATION_CMP, size, register_read(emulation, GPR_RAX, size), right,
                     &emulation->page->rflags);
    advance_pointer(emulation, GPR_RDI);
    return true;
}

static bool iterate_stos(struct emulation *emulation)
{
    if (!write_destination(emulation, emulation->page->gpr[GPR_RAX]))
        return false;
    advance_pointer(emulation, GPR_RDI);
    return true;
}

static bool iterate_lods(struct emulation *emulation)
{
    uint64_t value;

    if (!read_source(emulation, &value))
        return false;
    register_write(emulation, GPR_RAX, emulation->instruction->operand_size, value);
    advance_pointer(emulation, GPR_RSI);
    return true;
}

static uint16_t port_of(const struct emulation *emulation)
{
    return (uint16_t)emulation->page->gpr[GPR_RDX];
}

// The destination is checked before the port is read: a device read cannot be undone.
static bool iterate_ins(struct emulation *emulation)
{
    unsigned size = emulation->instruction->operand_size;
    uint32_t value = 0;

    if (!memory_probe(emulation, SEGMENT_ES, pointer_of(emulation, GPR_RDI), size, EMULATE_WRITE))
        return false;
    if (!operand_status(emulation, emulation->operations->port_in(
                                       emulation->context, port_of(emulation), size, &value)))
        return false;
    if (!write_destination(emulation, value))
        return false;
    advance_pointer(emulation, GPR_RDI);
    return true;
}

static bool iterate_outs(struct emulation *emulation)
{
    unsigned size = emulation->instruction->operand_size;
    uint64_t value;

    if (!read_source(emulation, &value))
        return false;
    if (!operand_status(emulation,
                        emulation->operations->port_out(emulation->context, port_of(emulation),
                                                        size, (uint32_t)value)))
        return false;
    advance_pointer(emulation, GPR_RSI);
    return true;
}

typedef bool (*iterate_function)(struct emulation *emulation);

static const iterate_function iterations[OPERATION_COUNT] = {
    [OPERATION_MOVS] = iterate_movs, [OPERATION_CMPS] = iterate_cmps,
    [OPERATION_STOS] = iterate_stos, [OPERATION_LODS] = iterate_lods,
    [OPERATION_SCAS] = iterate_scas, [OPERATION_INS] = iterate_ins,
    [OPERATION_OUTS] = iterate_outs,
};

// REPE and REPNE end CMPS and SCAS on the zero flag.
static bool condition_ends(const struct emulation *emulation)
{
    const struct instruction *instruction = emulation->instruction;
    bool equal = emulation->page->rflags & RFLAGS_ZF;

    if (instruction->operation != OPERATION_CMPS && instruction->operation != OPERATION_SCAS)
        return false;
    return equal != (instruction->repeat == PREFIX_REP);
}

bool execute_string(struct emulation *emulation)
{
    const struct instruction *instruction = emulation->instruction;
    bool single_step = emulation->page->rflags & RFLAGS_TF;
    uint32_t budget = single_step ? 1 : EMULATE_REPEAT_MAXIMUM;

    if (instruction->repeat == 0)
        return iterations[instruction->operation](emulation);
    for (; pointer_of(emulation, GPR_RCX) != 0; budget--) {
        if (budget == 0) {
            emulation->result->outcome = EMULATE_AGAIN;
            return true;
        }
        if (!iterations[instruction->operation](emulation))
            return false;
        register_write(emulation, GPR_RCX, instruction->address_size,
                       emulation->page->gpr[GPR_RCX] - 1);
        if (condition_ends(emulation))
            return true;
    }
    return true;
}
