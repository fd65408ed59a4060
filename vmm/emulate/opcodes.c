// SPDX-License-Identifier: MIT
// The opcode tables: what each opcode byte stands for. Only instructions whose memory operand can
// meet a device are here; a zero row is not supported. Read by decode.c alone.
#include "vmm/emulate/decode.h"

#define ROW(name, operand_form, opcode_flags)                                                      \
    {                                                                                              \
        .operation = OPERATION_##name, .form = FORM_##operand_form, .flags = (opcode_flags)        \
    }
#define GROUP(name, operand_form, opcode_flags)                                                    \
    {                                                                                              \
        .operation = GROUP_##name, .form = FORM_##operand_form,                                    \
        .flags = OPCODE_GROUP | OPCODE_MODRM | (opcode_flags)                                      \
    }

// The four memory forms of an arithmetic instruction.
#define ALU(first, name, lock)                                                                     \
    [(first) + 0] = ROW(name, RM_REG, OPCODE_MODRM | OPCODE_BYTE | (lock)),                        \
               [(first) + 1] = ROW(name, RM_REG, OPCODE_MODRM | (lock)),                           \
               [(first) + 2] = ROW(name, REG_RM, OPCODE_MODRM | OPCODE_BYTE),                      \
               [(first) + 3] = ROW(name, REG_RM, OPCODE_MODRM)

// A string instruction: byte form, then operand-size form.
#define STRING(first, name, opcode_flags)                                                          \
    [(first) + 0] = ROW(name, STRING, OPCODE_BYTE | (opcode_flags)),                               \
               [(first) + 1] = ROW(name, STRING, (opcode_flags))

// clang-format off
const struct opcode opcode_maps[OPCODE_MAP_COUNT][256] = {
[OPCODE_MAP_PRIMARY] = {
    ALU(0x00, ADD, OPCODE_LOCK),
    ALU(0x08, OR,  OPCODE_LOCK),
    ALU(0x10, ADC, OPCODE_LOCK),
    ALU(0x18, SBB, OPCODE_LOCK),
    ALU(0x20, AND, OPCODE_LOCK),
    ALU(0x28, SUB, OPCODE_LOCK),
    ALU(0x30, XOR, OPCODE_LOCK),
    ALU(0x38, CMP, 0),
    [0x63] = ROW(MOVSX, REG_RM, OPCODE_MODRM | OPCODE_SOURCE32 | OPCODE_ONLY_64),
    [0x69] = ROW(IMUL2, REG_RM_IMM, OPCODE_MODRM | OPCODE_IMMEDIATE),
    [0x6b] = ROW(IMUL2, REG_RM_IMM, OPCODE_MODRM | OPCODE_IMMEDIATE8),
    STRING(0x6c, INS, OPCODE_AT_MOST32),
    STRING(0x6e, OUTS, OPCODE_AT_MOST32),
    [0x80] = GROUP(ALU, RM_IMM, OPCODE_BYTE | OPCODE_IMMEDIATE8),
    [0x81] = GROUP(ALU, RM_IMM, OPCODE_IMMEDIATE),
    [0x82] = GROUP(ALU, RM_IMM, OPCODE_BYTE | OPCODE_IMMEDIATE8 | OPCODE_NOT_64),
    [0x83] = GROUP(ALU, RM_IMM, OPCODE_IMMEDIATE8),
    [0x84] = ROW(TEST, RM_REG, OPCODE_MODRM | OPCODE_BYTE),
    [0x85] = ROW(TEST, RM_REG, OPCODE_MODRM),
    [0x86] = ROW(XCHG, RM_REG, OPCODE_MODRM | OPCODE_BYTE | OPCODE_LOCK),
    [0x87] = ROW(XCHG, RM_REG, OPCODE_MODRM | OPCODE_LOCK),
    [0x88] = ROW(MOV, RM_REG, OPCODE_MODRM | OPCODE_BYTE),
    [0x89] = ROW(MOV, RM_REG, OPCODE_MODRM),
    [0x8a] = ROW(MOV, REG_RM, OPCODE_MODRM | OPCODE_BYTE),
    [0x8b] = ROW(MOV, REG_RM, OPCODE_MODRM),
    [0x8c] = ROW(MOV_FROM_SEGMENT, RM_REG, OPCODE_MODRM),
    [0x8f] = GROUP(POP, RM, OPCODE_STACK),
    [0xa0] = ROW(MOV, REG_RM, OPCODE_OFFSET | OPCODE_BYTE),
    [0xa1] = ROW(MOV, REG_RM, OPCODE_OFFSET),
    [0xa2] = ROW(MOV, RM_REG, OPCODE_OFFSET | OPCODE_BYTE),
    [0xa3] = ROW(MOV, RM_REG, OPCODE_OFFSET),
    STRING(0xa4, MOVS, 0),
    STRING(0xa6, CMPS, 0),
    STRING(0xaa, STOS, 0),
    STRING(0xac, LODS, 0),
    STRING(0xae, SCAS, 0),
    [0xc0] = GROUP(SHIFT, RM_IMM, OPCODE_BYTE | OPCODE_IMMEDIATE8),
    [0xc1] = GROUP(SHIFT, RM_IMM, OPCODE_IMMEDIATE8),
    [0xc6] = GROUP(MOV, RM_IMM, OPCODE_BYTE | OPCODE_IMMEDIATE8),
    [0xc7] = GROUP(MOV, RM_IMM, OPCODE_IMMEDIATE),
    [0xd0] = GROUP(SHIFT, RM_ONE, OPCODE_BYTE),
    [0xd1] = GROUP(SHIFT, RM_ONE, 0),
    [0xd2] = GROUP(SHIFT, RM_CL, OPCODE_BYTE),
    [0xd3] = GROUP(SHIFT, RM_CL, 0),
    [0xf6] = GROUP(UNARY, RM, OPCODE_BYTE),
    [0xf7] = GROUP(UNARY, RM, 0),
    [0xfe] = GROUP(INCREMENT, RM, OPCODE_BYTE),
    [0xff] = GROUP(INCREMENT_PUSH, RM, 0),
},
[OPCODE_MAP_0F] = {
    [0x01] = GROUP(MACHINE, RM, 0),
    [0x40 ... 0x4f] = ROW(CMOV, REG_RM, OPCODE_MODRM),
    [0x90 ... 0x9f] = ROW(SET, RM, OPCODE_MODRM | OPCODE_BYTE),
    [0xa3] = ROW(BT, RM_REG, OPCODE_MODRM),
    [0xa4] = ROW(SHLD, RM_REG, OPCODE_MODRM | OPCODE_IMMEDIATE8),
    [0xa5] = ROW(SHLD, RM_REG, OPCODE_MODRM), // by CL
    [0xab] = ROW(BTS, RM_REG, OPCODE_MODRM | OPCODE_LOCK),
    [0xac] = ROW(SHRD, RM_REG, OPCODE_MODRM | OPCODE_IMMEDIATE8),
    [0xad] = ROW(SHRD, RM_REG, OPCODE_MODRM), // by CL
    [0xaf] = ROW(IMUL2, REG_RM, OPCODE_MODRM),
    [0xb0] = ROW(CMPXCHG, RM_REG, OPCODE_MODRM | OPCODE_BYTE | OPCODE_LOCK),
    [0xb1] = ROW(CMPXCHG, RM_REG, OPCODE_MODRM | OPCODE_LOCK),
    [0xb3] = ROW(BTR, RM_REG, OPCODE_MODRM | OPCODE_LOCK),
    [0xb6] = ROW(MOVZX, REG_RM, OPCODE_MODRM | OPCODE_SOURCE8),
    [0xb7] = ROW(MOVZX, REG_RM, OPCODE_MODRM | OPCODE_SOURCE16),
    [0xb8] = ROW(POPCNT, REG_RM, OPCODE_MODRM), // behind F3
    [0xba] = GROUP(BIT, RM_IMM, OPCODE_IMMEDIATE8),
    [0xbb] = ROW(BTC, RM_REG, OPCODE_MODRM | OPCODE_LOCK),
    [0xbc] = ROW(BSF, REG_RM, OPCODE_MODRM), // TZCNT behind F3
    [0xbd] = ROW(BSR, REG_RM, OPCODE_MODRM), // LZCNT behind F3
    [0xbe] = ROW(MOVSX, REG_RM, OPCODE_MODRM | OPCODE_SOURCE8),
    [0xbf] = ROW(MOVSX, REG_RM, OPCODE_MODRM | OPCODE_SOURCE16),
    [0xc0] = ROW(XADD, RM_REG, OPCODE_MODRM | OPCODE_BYTE | OPCODE_LOCK),
    [0xc1] = ROW(XADD, RM_REG, OPCODE_MODRM | OPCODE_LOCK),
    [0xc3] = ROW(MOV, RM_REG, OPCODE_MODRM | OPCODE_MEMORY | OPCODE_NO_PREFIX), // MOVNTI
    [0xc7] = GROUP(CMPXCHG_PAIR, RM, OPCODE_LOCK),
},
[OPCODE_MAP_0F38] = {
    [0xf0] = ROW(MOVBE, REG_RM, OPCODE_MODRM | OPCODE_MEMORY),
    [0xf1] = ROW(MOVBE, RM_REG, OPCODE_MODRM | OPCODE_MEMORY),
},
};

// The form is the primary row's; flags are added to those of the primary row.
const struct opcode opcode_groups[GROUP_COUNT][8] = {
    [GROUP_ALU] = {
        {.operation = OPERATION_ADD, .flags = OPCODE_LOCK},
        {.operation = OPERATION_OR, .flags = OPCODE_LOCK},
        {.operation = OPERATION_ADC, .flags = OPCODE_LOCK},
        {.operation = OPERATION_SBB, .flags = OPCODE_LOCK},
        {.operation = OPERATION_AND, .flags = OPCODE_LOCK},
        {.operation = OPERATION_SUB, .flags = OPCODE_LOCK},
        {.operation = OPERATION_XOR, .flags = OPCODE_LOCK},
        {.operation = OPERATION_CMP},
    },
    [GROUP_SHIFT] = {
        {.operation = OPERATION_ROL},
        {.operation = OPERATION_ROR},
        {.operation = OPERATION_RCL},
        {.operation = OPERATION_RCR},
        {.operation = OPERATION_SHL},
        {.operation = OPERATION_SHR},
        {.operation = OPERATION_SHL}, // an alias the processors know
        {.operation = OPERATION_SAR},
    },
    [GROUP_UNARY] = {
        {.operation = OPERATION_TEST, .form = FORM_RM_IMM, .flags = OPCODE_IMMEDIATE},
        {.operation = OPERATION_TEST, .form = FORM_RM_IMM, .flags = OPCODE_IMMEDIATE}, // alias
        {.operation = OPERATION_NOT, .flags = OPCODE_LOCK},
        {.operation = OPERATION_NEG, .flags = OPCODE_LOCK},
        {.operation = OPERATION_MUL},
        {.operation = OPERATION_IMUL},
        {.operation = OPERATION_DIV},
        {.operation = OPERATION_IDIV},
    },
    [GROUP_INCREMENT] = {
        {.operation = OPERATION_INC, .flags = OPCODE_LOCK},
        {.operation = OPERATION_DEC, .flags = OPCODE_LOCK},
    },
    [GROUP_INCREMENT_PUSH] = {
        [0] = {.operation = OPERATION_INC, .flags = OPCODE_LOCK},
        [1] = {.operation = OPERATION_DEC, .flags = OPCODE_LOCK},
        [6] = {.operation = OPERATION_PUSH, .flags = OPCODE_STACK},
    },
    [GROUP_POP] = {{.operation = OPERATION_POP}},
    [GROUP_MOV] = {{.operation = OPERATION_MOV}},
    [GROUP_MACHINE] = {[4] = {.operation = OPERATION_SMSW}},
    [GROUP_BIT] = {
        [4] = {.operation = OPERATION_BT},
        [5] = {.operation = OPERATION_BTS, .flags = OPCODE_LOCK},
        [6] = {.operation = OPERATION_BTR, .flags = OPCODE_LOCK},
        [7] = {.operation = OPERATION_BTC, .flags = OPCODE_LOCK},
    },
    [GROUP_CMPXCHG_PAIR] = {[1] = {.operation = OPERATION_CMPXCHG_PAIR, .flags = OPCODE_MEMORY}},
};
// clang-format on
