// SPDX-License-Identifier: MIT
// The decoder: prefixes, opcode, ModRM, SIB, displacement, immediate, in that order. Each step
// takes bytes from a cursor; running out of bytes is noticed once per step and reported as
// DECODE_MORE.
#include "vmm/emulate/decode.h"

struct cursor {
    const uint8_t *bytes;
    uint32_t available;
    uint32_t next;
    bool exhausted;
};

static uint8_t take_byte(struct cursor *cursor)
{
    if (cursor->next < cursor->available)
        return cursor->bytes[cursor->next++];
    cursor->exhausted = true;
    return 0;
}

// Little-endian value of `size` (1, 2, 4 or 8) bytes, zero-extended.
static uint64_t take_unsigned(struct cursor *cursor, unsigned size)
{
    const uint8_t *from = cursor->bytes + cursor->next;
    uint64_t value = 0;

    if (size > cursor->available - cursor->next) {
        cursor->next = cursor->available;
        cursor->exhausted = true;
        return 0;
    }
    if (size == 4)
        __builtin_memcpy(&value, from, 4);
    else if (size == 1)
        __builtin_memcpy(&value, from, 1);
    else if (size == 2)
        __builtin_memcpy(&value, from, 2);
    else
        __builtin_memcpy(&value, from, 8);
    cursor->next += size;
    return value;
}

static uint64_t take_signed(struct cursor *cursor, unsigned size)
{
    uint64_t value = take_unsigned(cursor, size);
    uint64_t sign = 1ull << (8 * size - 1);

    return (value ^ sign) - sign;
}

#define SEGMENT_DEFAULT SEGMENT_COUNT

// Segment overrides without effect in 64-bit mode are dropped here.
static void set_segment(struct instruction *instruction, uint8_t segment)
{
    if (instruction->mode != 64 || segment >= SEGMENT_FS)
        instruction->segment = segment;
}

// Notes one legacy prefix; false when `byte` is not one.
static bool note_prefix(struct instruction *instruction, uint8_t byte)
{
    switch (byte) {
    case 0x26:
    case 0x2e:
    case 0x36:
    case 0x3e:
        set_segment(instruction, (byte >> 3) & 3);
        return true;
    case 0x64:
    case 0x65:
        set_segment(instruction, byte == 0x64 ? SEGMENT_FS : SEGMENT_GS);
        return true;
    case 0x66:
        instruction->operand_prefix = true;
        return true;
    case 0x67:
        instruction->address_prefix = true;
        return true;
    case 0xf0:
        instruction->lock = true;
        return true;
    case PREFIX_REPNE:
    case PREFIX_REP:
        instruction->repeat = byte;
        return true;
    default:
        return false;
    }
}

// Takes all prefixes; returns the first byte after them. REX counts only as the last one.
static uint8_t take_prefixes(struct cursor *cursor, struct instruction *instruction)
{
    for (;;) {
        uint8_t byte = take_byte(cursor);

        if (note_prefix(instruction, byte)) {
            instruction->rex = 0;
        } else if (instruction->mode == 64 && (byte & 0xf0) == 0x40) {
            instruction->rex = byte;
        } else {
            return byte;
        }
    }
}

static void set_address_size(struct instruction *instruction)
{
    if (instruction->mode == 64)
        instruction->address_size = instruction->address_prefix ? 4 : 8;
    else
        instruction->address_size =
            (instruction->mode == 32) != instruction->address_prefix ? 4 : 2;
}

static void set_operand_size(struct instruction *instruction)
{
    uint16_t flags = instruction->flags;

    if (flags & OPCODE_BYTE)
        instruction->operand_size = 1;
    else if (instruction->rex & REX_W)
        instruction->operand_size = flags & OPCODE_AT_MOST32 ? 4 : 8;
    else if (flags & OPCODE_NO_PREFIX)
        instruction->operand_size = 4;
    else if (instruction->mode == 64 && (flags & OPCODE_STACK))
        instruction->operand_size = instruction->operand_prefix ? 2 : 8;
    else
        instruction->operand_size =
            (instruction->mode == 16) != instruction->operand_prefix ? 2 : 4;

    instruction->source_size = instruction->operand_size;
    if (flags & OPCODE_SOURCE8)
        instruction->source_size = 1;
    if (flags & OPCODE_SOURCE16)
        instruction->source_size = 2;
    // MOVSXD with a 16-bit destination reads 16 bits.
    if ((flags & OPCODE_SOURCE32) && instruction->operand_size > 4)
        instruction->source_size = 4;
}

static uint64_t take_displacement(struct cursor *cursor, unsigned mod, unsigned full_size)
{
    if (mod == 1)
        return take_signed(cursor, 1);
    return mod == 2 ? take_signed(cursor, full_size) : 0;
}

// "16-Bit Addressing Forms with the ModR/M Byte"
static void take_memory16(struct cursor *cursor, struct instruction *instruction, unsigned mod,
                          unsigned rm)
{
    static const uint8_t bases[8] = {GPR_RBX, GPR_RBX, GPR_RBP, GPR_RBP,
                                     GPR_RSI, GPR_RDI, GPR_RBP, GPR_RBX};
    static const uint8_t indexes[4] = {GPR_RSI, GPR_RDI, GPR_RSI, GPR_RDI};

    if (rm < 4)
        instruction->index = indexes[rm];
    if (mod == 0 && rm == 6) {
        instruction->displacement = take_signed(cursor, 2);
        return;
    }
    instruction->base = bases[rm];
    instruction->displacement = take_displacement(cursor, mod, 2);
}

static void take_sib(struct cursor *cursor, struct instruction *instruction, unsigned mod)
{
    uint8_t sib = take_byte(cursor);
    uint8_t base = sib & 7;
    uint8_t index = ((sib >> 3) & 7) | ((instruction->rex & REX_X) ? 8 : 0);

    instruction->scale = sib >> 6;
    if (index != GPR_RSP)
        instruction->index = index;
    if (mod == 0 && base == GPR_RBP)
        instruction->displacement = take_signed(cursor, 4);
    else
        instruction->base = base | ((instruction->rex & REX_B) ? 8 : 0);
}

// "32-Bit Addressing Forms with the ModR/M Byte", and their 64-bit extension
static void take_memory32(struct cursor *cursor, struct instruction *instruction, unsigned mod,
                          unsigned rm)
{
    if (rm == 4) {
        take_sib(cursor, instruction, mod);
    } else if (mod == 0 && rm == 5) {
        instruction->displacement = take_signed(cursor, 4);
        instruction->rip_relative = instruction->mode == 64;
    } else {
        instruction->base = rm | ((instruction->rex & REX_B) ? 8 : 0);
    }
    if (mod != 0)
        instruction->displacement = take_displacement(cursor, mod, 4);
}

static void take_operand(struct cursor *cursor, struct instruction *instruction, uint8_t modrm)
{
    unsigned mod = modrm >> 6;
    unsigned rm = modrm & 7;

    instruction->reg = ((modrm >> 3) & 7) | ((instruction->rex & REX_R) ? 8 : 0);
    if (mod == 3) {
        instruction->rm = rm | ((instruction->rex & REX_B) ? 8 : 0);
        return;
    }
    instruction->memory = true;
    if (instruction->address_size == 2)
        take_memory16(cursor, instruction, mod, rm);
    else
        take_memory32(cursor, instruction, mod, rm);
}

static void apply_row(struct instruction *instruction, const struct opcode *row, uint8_t modrm)
{
    instruction->operation = row->operation;
    instruction->form = row->form;
    instruction->flags = row->flags;
    if (row->flags & OPCODE_GROUP) {
        const struct opcode *member = &opcode_groups[row->operation][(modrm >> 3) & 7];

        instruction->operation = member->operation;
        instruction->flags |= member->flags;
        if (member->form != FORM_RM)
            instruction->form = member->form;
    }
}

static void take_immediate(struct cursor *cursor, struct instruction *instruction)
{
    unsigned size = instruction->operand_size < 4 ? instruction->operand_size : 4;

    if (instruction->flags & OPCODE_IMMEDIATE8)
        size = 1;
    else if (!(instruction->flags & OPCODE_IMMEDIATE))
        return;
    instruction->immediate = take_signed(cursor, size);
}

static void default_segment(struct instruction *instruction)
{
    if (instruction->segment != SEGMENT_DEFAULT)
        return;
    if (instruction->base == GPR_RSP || instruction->base == GPR_RBP)
        instruction->segment = SEGMENT_SS;
    else
        instruction->segment = SEGMENT_DS;
}

// What the tables call undefined for these prefixes and this operand.
static bool is_undefined(const struct instruction *instruction)
{
    uint16_t flags = instruction->flags;
    bool memory_destination = instruction->memory && instruction->form != FORM_REG_RM;

    if (instruction->lock && !((flags & OPCODE_LOCK) && memory_destination))
        return true;
    if ((flags & OPCODE_MEMORY) && !instruction->memory)
        return true;
    if ((flags & OPCODE_NOT_64) && instruction->mode == 64)
        return true;
    if ((flags & OPCODE_NO_PREFIX) && (instruction->operand_prefix || instruction->repeat))
        return true;
    return instruction->operation == OPERATION_MOV_FROM_SEGMENT &&
           (instruction->reg & 7) > SEGMENT_GS;
}

static const struct opcode *take_opcode(struct cursor *cursor, struct instruction *instruction)
{
    enum opcode_map map = OPCODE_MAP_PRIMARY;

    instruction->opcode = take_prefixes(cursor, instruction);
    if (instruction->opcode == 0x0f) {
        instruction->opcode = take_byte(cursor);
        map = OPCODE_MAP_0F;
        if (instruction->opcode == 0x38) {
            instruction->opcode = take_byte(cursor);
            map = OPCODE_MAP_0F38;
        }
    }
    return &opcode_maps[map][instruction->opcode];
}

// Where F2 or F3 in front make another instruction of it.
static void apply_repeat(struct instruction *instruction)
{
    bool rep = instruction->repeat == PREFIX_REP;
    uint8_t operation = instruction->operation;

    if ((operation == OPERATION_POPCNT && !rep) ||
        (operation == OPERATION_MOVBE && instruction->repeat)) // CRC32
        instruction->operation = OPERATION_NONE;
    else if (operation == OPERATION_BSF && rep)
        instruction->operation = OPERATION_TZCNT;
    else if (operation == OPERATION_BSR && rep)
        instruction->operation = OPERATION_LZCNT;
}

static bool is_supported(const struct instruction *instruction)
{
    return instruction->operation != OPERATION_NONE &&
           !((instruction->flags & OPCODE_ONLY_64) && instruction->mode != 64);
}

static enum decode_outcome decode_at(struct cursor *cursor, struct instruction *instruction)
{
    const struct opcode *row = take_opcode(cursor, instruction);
    uint8_t modrm = row->flags & OPCODE_MODRM ? take_byte(cursor) : 0;

    apply_row(instruction, row, modrm);
    apply_repeat(instruction);
    if (cursor->exhausted)
        return DECODE_MORE;
    if (!is_supported(instruction))
        return DECODE_UNSUPPORTED;

    set_address_size(instruction);
    set_operand_size(instruction);
    if (row->flags & OPCODE_MODRM)
        take_operand(cursor, instruction, modrm);
    if (row->flags & OPCODE_OFFSET) {
        instruction->memory = true;
        instruction->displacement = take_unsigned(cursor, instruction->address_size);
    }
    take_immediate(cursor, instruction);
    if (cursor->exhausted)
        return DECODE_MORE;
    if (is_undefined(instruction))
        return DECODE_UNDEFINED;
    default_segment(instruction);
    return DECODE_OK;
}

enum decode_outcome decode_instruction(const uint8_t *bytes, uint32_t available, unsigned mode,
                                       struct instruction *instruction)
{
    struct cursor cursor = {.bytes = bytes, .available = available};
    enum decode_outcome outcome;

    *instruction = (struct instruction){.mode = (uint8_t)mode,
                                        .segment = SEGMENT_DEFAULT,
                                        .base = REGISTER_NONE,
                                        .index = REGISTER_NONE};
    outcome = decode_at(&cursor, instruction);
    instruction->length = (uint8_t)cursor.next;
    return outcome;
}
