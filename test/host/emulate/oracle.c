// SPDX-License-Identifier: MIT
// The decoder against Zydis. See oracle.h.
#include "test/host/emulate/oracle.h"
#include <stdio.h>
#include <Zydis/Zydis.h>
#include "vmm/emulate/alu.h"

static const ZydisMnemonic mnemonics[OPERATION_COUNT] = {
    [OPERATION_ADD] = ZYDIS_MNEMONIC_ADD,         [OPERATION_OR] = ZYDIS_MNEMONIC_OR,
    [OPERATION_ADC] = ZYDIS_MNEMONIC_ADC,         [OPERATION_SBB] = ZYDIS_MNEMONIC_SBB,
    [OPERATION_AND] = ZYDIS_MNEMONIC_AND,         [OPERATION_SUB] = ZYDIS_MNEMONIC_SUB,
    [OPERATION_XOR] = ZYDIS_MNEMONIC_XOR,         [OPERATION_CMP] = ZYDIS_MNEMONIC_CMP,
    [OPERATION_TEST] = ZYDIS_MNEMONIC_TEST,       [OPERATION_ROL] = ZYDIS_MNEMONIC_ROL,
    [OPERATION_ROR] = ZYDIS_MNEMONIC_ROR,         [OPERATION_RCL] = ZYDIS_MNEMONIC_RCL,
    [OPERATION_RCR] = ZYDIS_MNEMONIC_RCR,         [OPERATION_SHL] = ZYDIS_MNEMONIC_SHL,
    [OPERATION_SHR] = ZYDIS_MNEMONIC_SHR,         [OPERATION_SAR] = ZYDIS_MNEMONIC_SAR,
    [OPERATION_INC] = ZYDIS_MNEMONIC_INC,         [OPERATION_DEC] = ZYDIS_MNEMONIC_DEC,
    [OPERATION_NOT] = ZYDIS_MNEMONIC_NOT,         [OPERATION_NEG] = ZYDIS_MNEMONIC_NEG,
    [OPERATION_MUL] = ZYDIS_MNEMONIC_MUL,         [OPERATION_IMUL] = ZYDIS_MNEMONIC_IMUL,
    [OPERATION_IMUL2] = ZYDIS_MNEMONIC_IMUL,      [OPERATION_MOV_FROM_SEGMENT] = ZYDIS_MNEMONIC_MOV,
    [OPERATION_SMSW] = ZYDIS_MNEMONIC_SMSW,       [OPERATION_MOVZX] = ZYDIS_MNEMONIC_MOVZX,
    [OPERATION_XCHG] = ZYDIS_MNEMONIC_XCHG,       [OPERATION_XADD] = ZYDIS_MNEMONIC_XADD,
    [OPERATION_CMPXCHG] = ZYDIS_MNEMONIC_CMPXCHG, [OPERATION_BT] = ZYDIS_MNEMONIC_BT,
    [OPERATION_BTS] = ZYDIS_MNEMONIC_BTS,         [OPERATION_BTR] = ZYDIS_MNEMONIC_BTR,
    [OPERATION_BTC] = ZYDIS_MNEMONIC_BTC,         [OPERATION_PUSH] = ZYDIS_MNEMONIC_PUSH,
    [OPERATION_POP] = ZYDIS_MNEMONIC_POP,         [OPERATION_BSF] = ZYDIS_MNEMONIC_BSF,
    [OPERATION_BSR] = ZYDIS_MNEMONIC_BSR,         [OPERATION_TZCNT] = ZYDIS_MNEMONIC_TZCNT,
    [OPERATION_LZCNT] = ZYDIS_MNEMONIC_LZCNT,     [OPERATION_POPCNT] = ZYDIS_MNEMONIC_POPCNT,
    [OPERATION_SHLD] = ZYDIS_MNEMONIC_SHLD,       [OPERATION_SHRD] = ZYDIS_MNEMONIC_SHRD,
    [OPERATION_DIV] = ZYDIS_MNEMONIC_DIV,         [OPERATION_IDIV] = ZYDIS_MNEMONIC_IDIV,
    [OPERATION_MOVBE] = ZYDIS_MNEMONIC_MOVBE,
};

// Where the mnemonic depends on more than the operation.
static const ZydisMnemonic conditional_moves[16] = {
    ZYDIS_MNEMONIC_CMOVO, ZYDIS_MNEMONIC_CMOVNO, ZYDIS_MNEMONIC_CMOVB,  ZYDIS_MNEMONIC_CMOVNB,
    ZYDIS_MNEMONIC_CMOVZ, ZYDIS_MNEMONIC_CMOVNZ, ZYDIS_MNEMONIC_CMOVBE, ZYDIS_MNEMONIC_CMOVNBE,
    ZYDIS_MNEMONIC_CMOVS, ZYDIS_MNEMONIC_CMOVNS, ZYDIS_MNEMONIC_CMOVP,  ZYDIS_MNEMONIC_CMOVNP,
    ZYDIS_MNEMONIC_CMOVL, ZYDIS_MNEMONIC_CMOVNL, ZYDIS_MNEMONIC_CMOVLE, ZYDIS_MNEMONIC_CMOVNLE,
};
static const ZydisMnemonic conditional_sets[16] = {
    ZYDIS_MNEMONIC_SETO, ZYDIS_MNEMONIC_SETNO, ZYDIS_MNEMONIC_SETB,  ZYDIS_MNEMONIC_SETNB,
    ZYDIS_MNEMONIC_SETZ, ZYDIS_MNEMONIC_SETNZ, ZYDIS_MNEMONIC_SETBE, ZYDIS_MNEMONIC_SETNBE,
    ZYDIS_MNEMONIC_SETS, ZYDIS_MNEMONIC_SETNS, ZYDIS_MNEMONIC_SETP,  ZYDIS_MNEMONIC_SETNP,
    ZYDIS_MNEMONIC_SETL, ZYDIS_MNEMONIC_SETNL, ZYDIS_MNEMONIC_SETLE, ZYDIS_MNEMONIC_SETNLE,
};

static ZydisMnemonic sized(unsigned size, ZydisMnemonic b, ZydisMnemonic w, ZydisMnemonic d,
                           ZydisMnemonic q)
{
    return size == 1 ? b : size == 2 ? w : size == 4 ? d : q;
}

#define SIZED(size, name)                                                                          \
    sized(size, ZYDIS_MNEMONIC_##name##B, ZYDIS_MNEMONIC_##name##W, ZYDIS_MNEMONIC_##name##D,      \
          ZYDIS_MNEMONIC_##name##Q)

static ZydisMnemonic expected_string(const struct instruction *ours)
{
    unsigned size = ours->operand_size;

    switch (ours->opcode & 0xfe) {
    case 0xa4:
        return SIZED(size, MOVS);
    case 0xa6:
        return SIZED(size, CMPS);
    case 0xaa:
        return SIZED(size, STOS);
    case 0xac:
        return SIZED(size, LODS);
    case 0xae:
        return SIZED(size, SCAS);
    case 0x6c:
        return sized(size, ZYDIS_MNEMONIC_INSB, ZYDIS_MNEMONIC_INSW, ZYDIS_MNEMONIC_INSD, 0);
    default:
        return sized(size, ZYDIS_MNEMONIC_OUTSB, ZYDIS_MNEMONIC_OUTSW, ZYDIS_MNEMONIC_OUTSD, 0);
    }
}

static ZydisMnemonic expected_mnemonic(const struct instruction *ours)
{
    if (ours->form == FORM_STRING)
        return expected_string(ours);
    if (ours->operation == OPERATION_MOV)
        return ours->opcode == 0xc3 ? ZYDIS_MNEMONIC_MOVNTI : ZYDIS_MNEMONIC_MOV;
    if (ours->operation == OPERATION_MOVSX)
        return ours->flags & OPCODE_SOURCE32 ? ZYDIS_MNEMONIC_MOVSXD : ZYDIS_MNEMONIC_MOVSX;
    if (ours->operation == OPERATION_CMOV)
        return conditional_moves[ours->opcode & 15];
    if (ours->operation == OPERATION_SET)
        return conditional_sets[ours->opcode & 15];
    if (ours->operation == OPERATION_CMPXCHG_PAIR)
        return ours->operand_size == 8 ? ZYDIS_MNEMONIC_CMPXCHG16B : ZYDIS_MNEMONIC_CMPXCHG8B;
    return mnemonics[ours->operation];
}

struct oracle {
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    ZyanStatus status;
};

static void oracle_decode(struct oracle *oracle, const uint8_t *bytes, unsigned mode)
{
    ZydisDecoder decoder;

    if (mode == 64)
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    else if (mode == 32)
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    else
        ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    oracle->status =
        ZydisDecoderDecodeFull(&decoder, bytes, 15, &oracle->instruction, oracle->operands);
}

static uint8_t gpr_number(ZydisRegister name)
{
    return name == ZYDIS_REGISTER_NONE ? REGISTER_NONE : (uint8_t)ZydisRegisterGetId(name);
}

static bool is_rip(ZydisRegister name)
{
    return name == ZYDIS_REGISTER_RIP || name == ZYDIS_REGISTER_EIP;
}

static ZydisRegister expected_register(const struct instruction *ours, uint8_t number,
                                       unsigned size)
{
    if (size == 1 && ours->rex == 0 && number >= 4)
        return ZYDIS_REGISTER_AH + (number - 4);
    if (size == 1)
        return number < 4 ? ZYDIS_REGISTER_AL + number : ZYDIS_REGISTER_SPL + (number - 4);
    return (size == 2   ? ZYDIS_REGISTER_AX
            : size == 4 ? ZYDIS_REGISTER_EAX
                        : ZYDIS_REGISTER_RAX) +
           number;
}

static unsigned rm_size(const struct instruction *ours)
{
    if (ours->operation == OPERATION_CMPXCHG_PAIR)
        return ours->operand_size == 8 ? 16 : 8;
    if ((ours->operation == OPERATION_MOV_FROM_SEGMENT || ours->operation == OPERATION_SMSW) &&
        ours->memory)
        return 2;
    return ours->form == FORM_REG_RM ? ours->source_size : ours->operand_size;
}

// Zydis 4.0 names a base register where SIB.base 5 with ModRM.mod 0 means a displacement without
// base, if REX.B is set and addresses have 32 bits. The processor does not.
static bool oracle_errs(const struct instruction *ours, const ZydisDecodedOperand *theirs)
{
    return ours->mode == 64 && ours->address_size == 4 && (ours->rex & REX_B) &&
           theirs->mem.base == ZYDIS_REGISTER_R13D && ours->base == REGISTER_NONE;
}

static bool memory_agrees(const struct instruction *ours, const ZydisDecodedOperand *theirs)
{
    uint64_t mask = alu_mask(ours->address_size);

    if (oracle_errs(ours, theirs))
        return true;
    if (theirs->mem.segment - ZYDIS_REGISTER_ES != ours->segment)
        return false;
    if (is_rip(theirs->mem.base) != ours->rip_relative)
        return false;
    if (!ours->rip_relative && gpr_number(theirs->mem.base) != ours->base)
        return false;
    if (gpr_number(theirs->mem.index) != ours->index)
        return false;
    if (ours->index != REGISTER_NONE && theirs->mem.scale != 1u << ours->scale)
        return false;
    // MOVSXD into 16 bits: one manual reads two bytes, the other four; the result is the same.
    if (theirs->size != 8u * rm_size(ours) && !(ours->opcode == 0x63 && ours->operand_size == 2))
        return false;
    return (((uint64_t)theirs->mem.disp.value ^ ours->displacement) & mask) == 0;
}

// MOV to or from an absolute address names the accumulator, strings their fixed registers.
static bool operand_agrees(const struct instruction *ours, const ZydisDecodedOperand *theirs)
{
    uint64_t mask = alu_mask(ours->operand_size);

    switch ((unsigned)theirs->encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_RM:
        if (theirs->type == ZYDIS_OPERAND_TYPE_MEMORY)
            return ours->memory && memory_agrees(ours, theirs);
        return !ours->memory &&
               theirs->reg.value == expected_register(ours, ours->rm, rm_size(ours));
    case ZYDIS_OPERAND_ENCODING_DISP16_32_64:
        return ours->memory && memory_agrees(ours, theirs) && ours->reg == GPR_RAX;
    case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        if (ours->operation == OPERATION_MOV_FROM_SEGMENT)
            return theirs->reg.value == ZYDIS_REGISTER_ES + (ours->reg & 7u);
        return theirs->reg.value == expected_register(ours, ours->reg, ours->operand_size);
    case ZYDIS_OPERAND_ENCODING_UIMM8:
    case ZYDIS_OPERAND_ENCODING_SIMM8:
        return (uint8_t)theirs->imm.value.u == (uint8_t)ours->immediate;
    case ZYDIS_OPERAND_ENCODING_SIMM16_32_32:
    case ZYDIS_OPERAND_ENCODING_UIMM16_32_32:
        return ((theirs->imm.value.u ^ ours->immediate) & mask & 0xffffffffu) == 0;
    default:
        return true;
    }
}

static bool string_agrees(const struct instruction *ours, const ZydisDecodedOperand *theirs)
{
    if (theirs->type != ZYDIS_OPERAND_TYPE_MEMORY)
        return true;
    if (theirs->size != 8u * ours->operand_size)
        return false;
    if (gpr_number(theirs->mem.base) == GPR_RDI)
        return theirs->mem.segment == ZYDIS_REGISTER_ES || ours->mode == 64;
    return theirs->mem.segment - ZYDIS_REGISTER_ES == ours->segment;
}

static bool instructions_agree(const struct instruction *ours, const struct oracle *oracle)
{
    const ZydisDecodedInstruction *theirs = &oracle->instruction;

    if (theirs->length != ours->length || theirs->mnemonic != expected_mnemonic(ours))
        return false;
    if (theirs->address_width != 8u * ours->address_size)
        return false;
    for (unsigned i = 0; i < theirs->operand_count; i++) {
        const ZydisDecodedOperand *operand = &oracle->operands[i];

        if (ours->form == FORM_STRING ? !string_agrees(ours, operand)
                                      : !operand_agrees(ours, operand))
            return false;
    }
    return true;
}

static bool is_ours(ZydisMnemonic mnemonic)
{
    for (unsigned i = 0; i < OPERATION_COUNT; i++) {
        if (mnemonics[i] == mnemonic && mnemonic != ZYDIS_MNEMONIC_INVALID)
            return true;
    }
    return false;
}

static bool has_memory(const struct oracle *oracle)
{
    for (unsigned i = 0; i < oracle->instruction.operand_count_visible; i++) {
        if (oracle->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
            return true;
    }
    return false;
}

// What we do not support must not be an instruction of ours with a memory operand; loads of a
// segment register are the exception, they need the descriptor tables.
static bool unsupported_agrees(const struct oracle *oracle)
{
    if (!ZYAN_SUCCESS(oracle->status) || !is_ours(oracle->instruction.mnemonic))
        return true;
    return !has_memory(oracle) || oracle->instruction.opcode == 0x8e;
}

static bool agree(enum decode_outcome outcome, const struct instruction *ours,
                  const struct oracle *oracle)
{
    switch (outcome) {
    case DECODE_OK:
        return ZYAN_SUCCESS(oracle->status) && instructions_agree(ours, oracle);
    case DECODE_UNDEFINED:
        return !ZYAN_SUCCESS(oracle->status);
    case DECODE_UNSUPPORTED:
        return unsupported_agrees(oracle);
    case DECODE_MORE:
        return !ZYAN_SUCCESS(oracle->status); // undefined and too long: either exception will do
    }
    return false;
}

static void report(const uint8_t *bytes, unsigned mode, enum decode_outcome outcome,
                   const struct instruction *ours, const struct oracle *oracle)
{
    fprintf(stderr, "mode %u, outcome %d, length %u (oracle status %#x, length %u, %s):", mode,
            outcome, ours->length, oracle->status, oracle->instruction.length,
            ZYAN_SUCCESS(oracle->status) ? ZydisMnemonicGetString(oracle->instruction.mnemonic)
                                         : "-");
    for (unsigned i = 0; i < 15; i++)
        fprintf(stderr, " %02x", bytes[i]);
    fprintf(stderr, "\n");
}

bool oracle_compare(const uint8_t bytes[15], unsigned mode, enum decode_outcome *outcome)
{
    struct instruction ours;
    struct oracle oracle;

    *outcome = decode_instruction(bytes, 15, mode, &ours);
    oracle_decode(&oracle, bytes, mode);
    if (agree(*outcome, &ours, &oracle))
        return true;
    report(bytes, mode, *outcome, &ours, &oracle);
    return false;
}
