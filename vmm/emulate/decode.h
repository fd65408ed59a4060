// SPDX-License-Identifier: MIT
// Instruction bytes to struct instruction. Pure: no guest state besides the mode. Called by
// emulate.c and, against another decoder, by the host tests.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/abi/vcpu.h"
#include "kernel/lib/compiler.h"

// The first eight follow the processor's own numbering, as do the shifts and the bit operations.
enum operation {
    OPERATION_NONE, // not supported
    OPERATION_ADD,
    OPERATION_OR,
    OPERATION_ADC,
    OPERATION_SBB,
    OPERATION_AND,
    OPERATION_SUB,
    OPERATION_XOR,
    OPERATION_CMP,
    OPERATION_TEST,
    OPERATION_ROL,
    OPERATION_ROR,
    OPERATION_RCL,
    OPERATION_RCR,
    OPERATION_SHL,
    OPERATION_SHR,
    OPERATION_SAR,
    OPERATION_INC,
    OPERATION_DEC,
    OPERATION_NOT,
    OPERATION_NEG,
    OPERATION_MUL,
    OPERATION_IMUL,  // one operand, result in rDX:rAX
    OPERATION_IMUL2, // into a register
    OPERATION_MOV,
    OPERATION_MOV_FROM_SEGMENT,
    OPERATION_SMSW,
    OPERATION_MOVZX,
    OPERATION_MOVSX,
    OPERATION_CMOV,
    OPERATION_SET,
    OPERATION_XCHG,
    OPERATION_XADD,
    OPERATION_CMPXCHG,
    OPERATION_CMPXCHG_PAIR, // CMPXCHG8B, CMPXCHG16B
    OPERATION_BT,
    OPERATION_BTS,
    OPERATION_BTR,
    OPERATION_BTC,
    OPERATION_BSF,
    OPERATION_BSR,
    OPERATION_TZCNT,
    OPERATION_LZCNT,
    OPERATION_POPCNT,
    OPERATION_SHLD,
    OPERATION_SHRD,
    OPERATION_DIV,
    OPERATION_IDIV,
    OPERATION_MOVBE,
    OPERATION_PUSH,
    OPERATION_POP,
    OPERATION_MOVS,
    OPERATION_CMPS,
    OPERATION_STOS,
    OPERATION_LODS,
    OPERATION_SCAS,
    OPERATION_INS,
    OPERATION_OUTS,
    OPERATION_COUNT
};

// Which operand is written, and where the other comes from.
enum operand_form {
    FORM_RM,         // one operand
    FORM_RM_REG,     // destination r/m, source register
    FORM_REG_RM,     // destination register, source r/m
    FORM_RM_IMM,     // destination r/m, source immediate
    FORM_REG_RM_IMM, // destination register, sources r/m and immediate
    FORM_RM_ONE,     // destination r/m, source the constant 1
    FORM_RM_CL,      // destination r/m, source CL
    FORM_STRING,
};

enum opcode_flags {
    OPCODE_MODRM = 1u << 0,
    OPCODE_BYTE = 1u << 1,       // operands are bytes
    OPCODE_LOCK = 1u << 2,       // LOCK is allowed with a memory destination
    OPCODE_NOT_64 = 1u << 3,     // undefined in 64-bit mode
    OPCODE_ONLY_64 = 1u << 4,    // another instruction outside 64-bit mode
    OPCODE_STACK = 1u << 5,      // operand size defaults to 64 bits in 64-bit mode
    OPCODE_GROUP = 1u << 6,      // `operation` is an enum opcode_group, ModRM.reg selects
    OPCODE_MEMORY = 1u << 7,     // undefined with a register operand
    OPCODE_IMMEDIATE8 = 1u << 8, // sign-extended byte
    OPCODE_IMMEDIATE = 1u << 9,  // operand size, at most 32 bits, sign-extended
    OPCODE_OFFSET = 1u << 10,    // address in place of ModRM; the register is the accumulator
    OPCODE_SOURCE8 = 1u << 11,   // the source is a byte,
    OPCODE_SOURCE16 = 1u << 12,  // two bytes,
    OPCODE_SOURCE32 = 1u << 13,  // or four
    OPCODE_NO_PREFIX = 1u << 14, // 32 or 64 bits; undefined with 66, F2 or F3
    OPCODE_AT_MOST32 = 1u << 15, // REX.W means 32 bits
};

enum opcode_group {
    GROUP_ALU,            // 80 to 83
    GROUP_SHIFT,          // C0, C1, D0 to D3
    GROUP_UNARY,          // F6, F7
    GROUP_INCREMENT,      // FE
    GROUP_INCREMENT_PUSH, // FF
    GROUP_POP,            // 8F
    GROUP_MOV,            // C6, C7
    GROUP_MACHINE,        // 0F 01
    GROUP_BIT,            // 0F BA
    GROUP_CMPXCHG_PAIR,   // 0F C7
    GROUP_COUNT
};

struct opcode {
    uint8_t operation; // enum operation, or enum opcode_group with OPCODE_GROUP
    uint8_t form;      // enum operand_form
    uint16_t flags;    // enum opcode_flags
};

enum opcode_map {
    OPCODE_MAP_PRIMARY, // one-byte opcodes
    OPCODE_MAP_0F,
    OPCODE_MAP_0F38,
    OPCODE_MAP_COUNT
};

extern const struct opcode opcode_maps[OPCODE_MAP_COUNT][256];
extern const struct opcode opcode_groups[GROUP_COUNT][8];

#define REX_W 8u
#define REX_R 4u
#define REX_X 2u
#define REX_B 1u

#define PREFIX_REPNE 0xf2
#define PREFIX_REP   0xf3

#define REGISTER_NONE GPR_COUNT

struct instruction {
    uint64_t immediate;    // sign-extended
    uint64_t displacement; // sign-extended; of OPCODE_OFFSET zero-extended
    uint16_t flags;        // enum opcode_flags
    uint8_t operation;     // enum operation
    uint8_t form;          // enum operand_form
    uint8_t opcode;        // its last byte: condition codes
    uint8_t length;        // bytes
    uint8_t mode;          // 16, 32 or 64
    uint8_t operand_size;  // bytes
    uint8_t source_size;   // bytes
    uint8_t address_size;  // bytes
    uint8_t rex;           // 0, or the prefix byte
    uint8_t repeat;        // 0, PREFIX_REPNE or PREFIX_REP
    uint8_t reg;           // ModRM.reg with REX.R
    uint8_t rm;            // register operand, with REX.B, unless `memory`
    uint8_t segment;       // of the memory operand or string source, override applied
    uint8_t base;          // enum gpr_index or REGISTER_NONE
    uint8_t index;         // likewise
    uint8_t scale;         // shift of the index
    bool memory;           // r/m is in memory
    bool rip_relative;
    bool lock;
    bool operand_prefix; // 66 was there
    bool address_prefix; // 67 was there
};

enum decode_outcome {
    DECODE_OK,
    DECODE_MORE,        // the bytes end inside the instruction
    DECODE_UNDEFINED,   // the processor raises #UD
    DECODE_UNSUPPORTED, // not in the tables
};

// Decodes the instruction at `bytes`, of which `available` (at most 15) can be read, for code of
// `mode` (16, 32 or 64) bits. On DECODE_OK *instruction is complete; else only `length` is
// meaningful: the bytes looked at. DECODE_MORE with 15 bytes means the instruction is too long.
// Source: the manual's chapter "Instruction Format" and appendix "Opcode Map".
enum decode_outcome decode_instruction(const uint8_t *bytes, uint32_t available, unsigned mode,
                                       struct instruction *instruction) MUST_CHECK;

// Instructions decoded before, found again by their bytes. Most exits come from a few places.
#define DECODE_CACHE_ROWS 32u // a power of two
struct decode_cache_row {
    uint64_t bytes[2];              // the first 8, and the last 8 of 15; zero past the length
    uint64_t mask[2];               // ones where an instruction byte is
    struct instruction instruction; // mode 0: the row is empty
};
struct decode_cache {
    struct decode_cache_row row[DECODE_CACHE_ROWS];
};

// The instruction at `bytes` when it was remembered for this `rip`, these bytes and this mode; else
// null. All 15 bytes must be readable; those past `available` do not count.
const struct instruction *decode_cache_find(const struct decode_cache *cache, uint64_t rip,
                                            const uint8_t bytes[15], uint32_t available,
                                            unsigned mode);

// Remembers a decoded instruction and its bytes.
void decode_cache_store(struct decode_cache *cache, uint64_t rip, const uint8_t bytes[15],
                        const struct instruction *instruction);
