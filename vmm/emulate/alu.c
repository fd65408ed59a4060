// SPDX-License-Identifier: MIT
// Arithmetic and flags, after the manual's "EFLAGS Cross-Reference" and the instructions' pages.
// Carries come from the carry-out vector, so that one formula serves every operand size.
#include "vmm/emulate/alu.h"

static void set_flags(uint64_t *rflags, uint64_t mask, uint64_t flags)
{
    *rflags = (*rflags & ~mask) | (flags & mask);
}

// SF, ZF and PF of a result.
static uint64_t result_flags(unsigned size, uint64_t result)
{
    uint64_t flags = 0;

    if ((result & alu_mask(size)) == 0)
        flags |= RFLAGS_ZF;
    if (result & alu_sign(size))
        flags |= RFLAGS_SF;
    if (!__builtin_parity((unsigned)(result & 0xff)))
        flags |= RFLAGS_PF;
    return flags;
}

// CF, AF and OF from the vector of carries (or borrows) out of each bit.
static uint64_t carry_flags(unsigned size, uint64_t carries, uint64_t overflow)
{
    uint64_t flags = 0;

    if (carries & alu_sign(size))
        flags |= RFLAGS_CF;
    if (carries & 8)
        flags |= RFLAGS_AF;
    if (overflow & alu_sign(size))
        flags |= RFLAGS_OF;
    return flags;
}

static uint64_t add(unsigned size, uint64_t left, uint64_t right, uint64_t carry, uint64_t *rflags)
{
    uint64_t result = left + right + carry;
    uint64_t carries = (left & right) | ((left | right) & ~result);
    uint64_t overflow = (left ^ result) & (right ^ result);

    set_flags(rflags, RFLAGS_ARITHMETIC,
              carry_flags(size, carries, overflow) | result_flags(size, result));
    return result & alu_mask(size);
}

static uint64_t subtract(unsigned size, uint64_t left, uint64_t right, uint64_t borrow,
                         uint64_t *rflags)
{
    uint64_t result = left - right - borrow;
    uint64_t borrows = (~left & right) | ((~left | right) & result);
    uint64_t overflow = (left ^ right) & (left ^ result);

    set_flags(rflags, RFLAGS_ARITHMETIC,
              carry_flags(size, borrows, overflow) | result_flags(size, result));
    return result & alu_mask(size);
}

static uint64_t logic(unsigned size, uint64_t result, uint64_t *rflags)
{
    set_flags(rflags, RFLAGS_ARITHMETIC, result_flags(size, result));
    return result & alu_mask(size);
}

uint64_t alu_binary(enum operation operation, unsigned size, uint64_t left, uint64_t right,
                    uint64_t *rflags)
{
    uint64_t carry = *rflags & RFLAGS_CF;

    if (operation == OPERATION_ADD)
        return add(size, left, right, 0, rflags);
    if (operation == OPERATION_ADC)
        return add(size, left, right, carry, rflags);
    if (operation == OPERATION_SUB)
        return subtract(size, left, right, 0, rflags);
    if (operation == OPERATION_SBB)
        return subtract(size, left, right, carry, rflags);
    if (operation == OPERATION_OR)
        return logic(size, left | right, rflags);
    if (operation == OPERATION_AND)
        return logic(size, left & right, rflags);
    if (operation == OPERATION_XOR)
        return logic(size, left ^ right, rflags);

    if (operation == OPERATION_CMP)
        (void)subtract(size, left, right, 0, rflags);
    else
        (void)logic(size, left & right, rflags);
    return left & alu_mask(size);
}

uint64_t alu_unary(enum operation operation, unsigned size, uint64_t value, uint64_t *rflags)
{
    uint64_t carry = *rflags & RFLAGS_CF;
    uint64_t result;

    if (operation == OPERATION_NOT)
        return ~value & alu_mask(size);
    if (operation == OPERATION_NEG)
        return subtract(size, 0, value, 0, rflags);

    if (operation == OPERATION_INC)
        result = add(size, value, 1, 0, rflags);
    else
        result = subtract(size, value, 1, 0, rflags);
    set_flags(rflags, RFLAGS_CF, carry);
    return result;
}

static void set_carry_overflow(uint64_t *rflags, bool carry, bool overflow)
{
    set_flags(rflags, RFLAGS_CF | RFLAGS_OF, (carry ? RFLAGS_CF : 0) | (overflow ? RFLAGS_OF : 0));
}

// `count` is 1 to 63 here.
static uint64_t rotate(bool left, unsigned size, uint64_t value, unsigned count, uint64_t *rflags)
{
    unsigned bits = 8 * size;
    unsigned by = (left ? count : bits - count % bits) % bits;
    uint64_t result = value;
    bool top;
    bool carry;

    if (by != 0)
        result = ((value << by) | (value >> (bits - by))) & alu_mask(size);
    top = (result & alu_sign(size)) != 0;
    carry = left ? (result & 1) != 0 : top;
    set_carry_overflow(rflags, carry,
                       left ? top != carry : top != ((result & (alu_sign(size) >> 1)) != 0));
    return result;
}

// One bit at a time: the carry takes part as a further bit of the operand.
static uint64_t rotate_carry(bool left, unsigned size, uint64_t value, unsigned count,
                             uint64_t *rflags)
{
    bool carry = *rflags & RFLAGS_CF;
    bool top;

    for (unsigned i = count % (8 * size + 1); i > 0; i--) {
        bool out = left ? (value & alu_sign(size)) != 0 : value & 1;

        if (left)
            value = ((value << 1) | (carry ? 1 : 0)) & alu_mask(size);
        else
            value = (value >> 1) | (carry ? alu_sign(size) : 0);
        carry = out;
    }
    top = (value & alu_sign(size)) != 0;
    set_carry_overflow(rflags, carry,
                       left ? top != carry : top != ((value & (alu_sign(size) >> 1)) != 0));
    return value;
}

static uint64_t shift_left(unsigned size, uint64_t value, unsigned count, uint64_t *rflags)
{
    uint64_t before = value << (count - 1);
    uint64_t result = (before << 1) & alu_mask(size);
    bool carry = (before & alu_sign(size)) != 0;

    set_carry_overflow(rflags, carry, carry != ((result & alu_sign(size)) != 0));
    return result;
}

static uint64_t shift_right(bool arithmetic, unsigned size, uint64_t value, unsigned count,
                            uint64_t *rflags)
{
    bool negative = (value & alu_sign(size)) != 0;
    uint64_t before;
    uint64_t result;

    if (arithmetic) {
        int64_t extended = (int64_t)alu_sign_extend(value, size);

        before = (uint64_t)(extended >> (count - 1));
        result = (uint64_t)(extended >> (count - 1) >> 1) & alu_mask(size);
    } else {
        before = value >> (count - 1);
        result = before >> 1;
    }
    set_carry_overflow(rflags, before & 1, !arithmetic && negative);
    return result;
}

uint64_t alu_shift(enum operation operation, unsigned size, uint64_t value, uint64_t count,
                   uint64_t *rflags)
{
    unsigned by = (unsigned)(count & (size == 8 ? 63 : 31));

    value &= alu_mask(size);
    if (by == 0)
        return value;
    if (operation == OPERATION_ROL || operation == OPERATION_ROR)
        return rotate(operation == OPERATION_ROL, size, value, by, rflags);
    if (operation == OPERATION_RCL || operation == OPERATION_RCR)
        return rotate_carry(operation == OPERATION_RCL, size, value, by, rflags);

    if (operation == OPERATION_SHL)
        value = shift_left(size, value, by, rflags);
    else
        value = shift_right(operation == OPERATION_SAR, size, value, by, rflags);
    set_flags(rflags, RFLAGS_SF | RFLAGS_ZF | RFLAGS_PF | RFLAGS_AF, result_flags(size, value));
    return value;
}

uint64_t alu_bit(enum operation operation, unsigned size, uint64_t value, uint64_t offset,
                 uint64_t *rflags)
{
    uint64_t bit = 1ull << (offset & (8 * size - 1));

    set_flags(rflags, RFLAGS_CF, value & bit ? RFLAGS_CF : 0);
    if (operation == OPERATION_BTS)
        return value | bit;
    if (operation == OPERATION_BTR)
        return value & ~bit;
    return operation == OPERATION_BTC ? value ^ bit : value;
}

static uint64_t multiply_wide(bool is_signed, uint64_t left, uint64_t right, uint64_t *high)
{
    if (is_signed) {
        __int128 product = (__int128)(int64_t)left * (int64_t)right;

        *high = (uint64_t)((unsigned __int128)product >> 64);
        return (uint64_t)product;
    }
    unsigned __int128 product = (unsigned __int128)left * right;

    *high = (uint64_t)(product >> 64);
    return (uint64_t)product;
}

uint64_t alu_multiply(bool is_signed, unsigned size, uint64_t left, uint64_t right, uint64_t *high,
                      uint64_t *rflags)
{
    uint64_t mask = alu_mask(size);
    uint64_t low;
    bool matters;

    if (is_signed) {
        left = alu_sign_extend(left, size);
        right = alu_sign_extend(right, size);
    }
    low = multiply_wide(is_signed, left, right, high);
    if (size < 8)
        *high = (low >> (8 * size)) & mask;
    low &= mask;
    matters = is_signed ? *high != (low & alu_sign(size) ? mask : 0) : *high != 0;
    set_carry_overflow(rflags, matters, matters);
    return low;
}

// Of 128 bits by 64; high < divisor.
static uint64_t divide_wide(uint64_t high, uint64_t low, uint64_t divisor, uint64_t *remainder)
{
    uint64_t quotient;

    __asm__("divq %[divisor]"
            : "=a"(quotient), "=d"(*remainder)
            : "a"(low), "d"(high), [divisor] "r"(divisor)
            : "cc");
    return quotient;
}

static uint64_t negate_if(bool negative, uint64_t value)
{
    return negative ? 0 - value : value;
}

bool alu_divide(bool is_signed, unsigned size, uint64_t *high, uint64_t *low, uint64_t divisor)
{
    uint64_t top = size == 8 ? *high : 0;
    uint64_t bottom = size == 8 ? *low : *high << (8 * size) | *low;
    uint64_t limit = alu_mask(size);
    bool negative = is_signed && (*high & alu_sign(size));
    bool opposite = false;
    uint64_t remainder;

    if (is_signed) {
        divisor = alu_sign_extend(divisor, size);
        opposite = negative != ((int64_t)divisor < 0);
        divisor = negate_if((int64_t)divisor < 0, divisor);
        limit = alu_sign(size) - (opposite ? 0 : 1);
    }
    if (negative) { // the magnitude, of 16 * size bits
        bottom = 0 - bottom;
        top = size == 8 ? ~top + (bottom == 0) : 0;
        bottom &= alu_mask(size == 8 ? 8 : 2 * size);
    }
    if (top >= divisor)
        return false;
    bottom = divide_wide(top, bottom, divisor, &remainder);
    if (bottom > limit)
        return false;
    *low = negate_if(opposite, bottom) & alu_mask(size);
    *high = negate_if(negative, remainder) & alu_mask(size);
    return true;
}

// An instruction of the processor that runs this, on operands of 2, 4 or 8 bytes.
#define COUNT(name, modifier)                                                                      \
    __asm__(name " %" modifier "[source], %" modifier "[result]"                                   \
            : [result] "+r"(*result), "=@ccc"(carry), "=@ccz"(zero)                                \
            : [source] "r"(source))

bool alu_scan(enum operation operation, unsigned size, uint64_t source, uint64_t *result,
              uint64_t *rflags)
{
    bool counts_trailing = operation == OPERATION_TZCNT;
    bool carry;
    bool zero;

    if (operation == OPERATION_BSF || operation == OPERATION_BSR) {
        set_flags(rflags, RFLAGS_ZF, source ? 0 : RFLAGS_ZF);
        if (source)
            *result = operation == OPERATION_BSF ? (uint64_t)__builtin_ctzll(source)
                                                 : 63 - (uint64_t)__builtin_clzll(source);
        return source != 0;
    }
    if (operation == OPERATION_POPCNT) {
        COUNT("popcnt", "q");
        set_flags(rflags, RFLAGS_ARITHMETIC, zero ? RFLAGS_ZF : 0);
        return true;
    }
    if (size == 2 && counts_trailing)
        COUNT("tzcnt", "w");
    else if (size == 2)
        COUNT("lzcnt", "w");
    else if (size == 4 && counts_trailing)
        COUNT("tzcnt", "k");
    else if (size == 4)
        COUNT("lzcnt", "k");
    else if (counts_trailing)
        COUNT("tzcnt", "q");
    else
        COUNT("lzcnt", "q");
    set_flags(rflags, RFLAGS_CF | RFLAGS_ZF, (carry ? RFLAGS_CF : 0) | (zero ? RFLAGS_ZF : 0));
    return true;
}

uint64_t alu_double_shift(enum operation operation, unsigned size, uint64_t value, uint64_t source,
                          uint64_t count, uint64_t *rflags)
{
    unsigned bits = 8 * size;
    unsigned by = (unsigned)(count & (size == 8 ? 63 : 31));
    uint64_t result;
    bool carry;

    if (by == 0)
        return value;
    if (by > bits) { // 16 bits: undefined; the bits go round
        by -= bits;
        result = value;
        value = source;
        source = result;
    }
    if (operation == OPERATION_SHLD) {
        result = (by == bits ? 0 : value << by) | source >> (bits - by);
        carry = value >> (bits - by) & 1;
    } else {
        result = (by == bits ? 0 : value >> by) | source << (bits - by);
        carry = value >> (by - 1) & 1;
    }
    result &= alu_mask(size);
    set_carry_overflow(rflags, carry, ((result ^ value) & alu_sign(size)) != 0);
    set_flags(rflags, RFLAGS_SF | RFLAGS_ZF | RFLAGS_PF | RFLAGS_AF, result_flags(size, result));
    return result;
}

bool alu_condition(uint8_t code, uint64_t rflags)
{
    bool sign = rflags & RFLAGS_SF;
    bool overflow = rflags & RFLAGS_OF;
    bool holds = false;

    switch ((code >> 1) & 7) {
    case 0:
        holds = overflow;
        break;
    case 1:
        holds = rflags & RFLAGS_CF;
        break;
    case 2:
        holds = rflags & RFLAGS_ZF;
        break;
    case 3:
        holds = rflags & (RFLAGS_CF | RFLAGS_ZF);
        break;
    case 4:
        holds = sign;
        break;
    case 5:
        holds = rflags & RFLAGS_PF;
        break;
    case 6:
        holds = sign != overflow;
        break;
    case 7:
        holds = (rflags & RFLAGS_ZF) || sign != overflow;
        break;
    }
    return holds != (code & 1);
}
