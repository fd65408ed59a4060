// SPDX-License-Identifier: MIT
// Integer arithmetic with the processor's flags. Pure; used by the emulator's execution.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/processor.h"
#include "vmm/emulate/decode.h"

#define RFLAGS_ARITHMETIC (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

// All ones of an operand of `size` (1, 2, 4 or 8) bytes.
static inline uint64_t alu_mask(unsigned size)
{
    return ~0ull >> (64 - 8 * size);
}

// The top bit of an operand of `size` bytes.
static inline uint64_t alu_sign(unsigned size)
{
    return 1ull << (8 * size - 1);
}

// `value` of `size` bytes, sign-extended to 64 bits.
static inline uint64_t alu_sign_extend(uint64_t value, unsigned size)
{
    return ((value & alu_mask(size)) ^ alu_sign(size)) - alu_sign(size);
}

// Result of a two-operand operation, OPERATION_ADD to OPERATION_TEST, on operands of `size` bytes.
// *rflags supplies the carry and receives the arithmetic flags. CMP and TEST return `left`.
uint64_t alu_binary(enum operation operation, unsigned size, uint64_t left, uint64_t right,
                    uint64_t *rflags);

// OPERATION_INC, _DEC, _NOT or _NEG of `value`. INC and DEC keep the carry, NOT all flags.
uint64_t alu_unary(enum operation operation, unsigned size, uint64_t value, uint64_t *rflags);

// OPERATION_ROL to OPERATION_SAR of `value` by `count`, masked as the processor masks it. Flags
// that the manual leaves undefined keep their value, or for AF are cleared.
uint64_t alu_shift(enum operation operation, unsigned size, uint64_t value, uint64_t count,
                   uint64_t *rflags);

// OPERATION_BT, _BTS, _BTR or _BTC of bit `offset` modulo the operand's width.
uint64_t alu_bit(enum operation operation, unsigned size, uint64_t value, uint64_t offset,
                 uint64_t *rflags);

// Product of two operands of `size` bytes: the low half is returned, the high half stored. CF and
// OF tell whether the high half matters; the other flags keep their value.
uint64_t alu_multiply(bool is_signed, unsigned size, uint64_t left, uint64_t right, uint64_t *high,
                      uint64_t *rflags);

// Quotient and remainder of *high:*low by `divisor`, all of `size` bytes, to *low and *high. False,
// and nothing changed: the divisor is zero or the quotient does not fit, a divide error.
bool alu_divide(bool is_signed, unsigned size, uint64_t *high, uint64_t *low, uint64_t divisor);

// OPERATION_BSF to _POPCNT of `source`. False: the destination stays as it is. TZCNT and LZCNT are
// what this processor makes of their bytes, BSF and BSR where it is an old one, as for the guest;
// *result is what the destination held.
bool alu_scan(enum operation operation, unsigned size, uint64_t source, uint64_t *result,
              uint64_t *rflags);

// OPERATION_SHLD or _SHRD of `value` by `count`, masked as the processor masks it; `source`
// supplies the bits that come in. Flags that the manual leaves undefined keep their value, or for
// AF are cleared.
uint64_t alu_double_shift(enum operation operation, unsigned size, uint64_t value, uint64_t source,
                          uint64_t count, uint64_t *rflags);

// Whether the condition in the low four bits of `code` holds.
bool alu_condition(uint8_t code, uint64_t rflags);
