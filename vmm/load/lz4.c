// SPDX-License-Identifier: MIT
// LZ4 decoding. Most sequences take the roomy path, which copies in steps of 8 or 16 bytes and may
// write past the end of a copy, always inside the output buffer; near either buffer's end copies
// are exact.
#include "vmm/load/lz4.h"
#include "kernel/lib/string.h"

#define MATCH_MINIMUM 4u
#define LENGTH_MASK   15u
#define RUN_MAXIMUM   128u
#define ROOM          32u // a short sequence's reads and writes stay within this, see copy_short

// The two streams of one block; all pointers into the caller's buffers.
struct lz4_stream {
    const uint8_t *in;
    const uint8_t *in_end;
    uint8_t *out;
    uint8_t *out_start;
    uint8_t *out_end;
};

static inline uint64_t read64(const uint8_t *from)
{
    uint64_t word;

    __builtin_memcpy(&word, from, sizeof(word));
    return word;
}

static inline void write64(uint8_t *to, uint64_t word)
{
    __builtin_memcpy(to, &word, sizeof(word));
}

static inline uint32_t read32(const uint8_t *from)
{
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

// Adds the extension bytes of a length that filled its token half. False: input exhausted. The sum
// cannot overflow: it is at most 255 times the input's size.
static inline bool extend_length(struct lz4_stream *stream, uint64_t *length)
{
    uint8_t byte;

    do {
        if (stream->in == stream->in_end) {
            return false;
        }
        byte = *stream->in++;
        *length += byte;
    } while (byte == 255);
    return true;
}

// Copies checked literals: in steps of 8 where both buffers have the room and the call would cost
// more than the copy.
static inline void copy_run(struct lz4_stream *stream, uint64_t length)
{
    if (length <= RUN_MAXIMUM && (uint64_t)(stream->in_end - stream->in) >= length + 8 &&
        (uint64_t)(stream->out_end - stream->out) >= length + 8) {
        for (uint64_t i = 0; i < length; i += 8) {
            write64(stream->out + i, read64(stream->in + i));
        }
    } else if (length != 0) {
        memcpy(stream->out, stream->in, length);
    }
}

// Literals of any length; false when either buffer is too short.
static bool copy_literals(struct lz4_stream *stream, uint64_t length)
{
    if (length > (uint64_t)(stream->in_end - stream->in) ||
        length > (uint64_t)(stream->out_end - stream->out)) {
        return false;
    }
    copy_run(stream, length);
    stream->in += length;
    stream->out += length;
    return true;
}

// Spreads the first 8 bytes of a match with a distance below 8 and returns the distance, at least 8
// and a multiple of the old one, at which the rest of the match can be read.
static uint64_t spread_match(uint8_t *out, uint64_t distance)
{
    static const uint8_t wider[8] = {0, 8, 8, 9, 8, 10, 12, 14};
    const uint8_t *from = out - distance;

    for (unsigned i = 0; i < 8; i++) {
        out[i] = from[i];
    }
    return wider[distance];
}

// Copies a match whose end lies at least 8 bytes before the output's end, in steps of 8.
static void copy_match_roomy(uint8_t *out, uint64_t distance, uint64_t length)
{
    uint8_t *end = out + length;

    if (distance < 8) {
        distance = spread_match(out, distance);
        out += 8;
    }
    while (end - out >= 32) {
        const uint8_t *from = out - distance;
        write64(out, read64(from));
        write64(out + 8, read64(from + 8));
        write64(out + 16, read64(from + 16));
        write64(out + 24, read64(from + 24));
        out += 32;
    }
    while (out < end) {
        write64(out, read64(out - distance));
        out += 8;
    }
}

// Copies a match of `length` bytes from `distance` bytes back; both are checked.
static bool copy_match(struct lz4_stream *stream, uint64_t distance, uint64_t length)
{
    uint64_t room = (uint64_t)(stream->out_end - stream->out);

    if (distance == 0 || distance > (uint64_t)(stream->out - stream->out_start) || length > room) {
        return false;
    }
    // The last bytes of a match that ends next to the output's end are copied one by one.
    uint64_t roomy = room - length >= 8 ? length : length - (length < 8 ? length : 8);
    if (roomy != 0) {
        copy_match_roomy(stream->out, distance, roomy);
    }
    for (uint64_t i = roomy; i < length; i++) {
        stream->out[i] = *(stream->out + i - distance);
    }
    stream->out += length;
    return true;
}

// Decodes sequences with fewer than 15 literals, and matches below 19 bytes at a distance of 8 or
// more, as long as both buffers have ROOM bytes left. Stops in front of the first other sequence.
static void copy_short(struct lz4_stream *stream)
{
    const uint8_t *in = stream->in;
    uint8_t *out = stream->out;

    while (stream->in_end - in > (ptrdiff_t)ROOM && stream->out_end - out > (ptrdiff_t)(2 * ROOM)) {
        unsigned token = *in;
        unsigned literals = token >> 4;
        unsigned match = token & LENGTH_MASK;

        if (literals == LENGTH_MASK || match == LENGTH_MASK) {
            break;
        }
        const uint8_t *next = in + 1 + literals;
        uint64_t distance = next[0] | (uint64_t)next[1] << 8;
        uint8_t *to = out + literals;
        if (distance < 8 || distance > (uint64_t)(to - stream->out_start)) {
            break;
        }
        write64(out, read64(in + 1));
        write64(out + 8, read64(in + 9));
        write64(to, read64(to - distance));
        write64(to + 8, read64(to + 8 - distance));
        write64(to + 16, read64(to + 16 - distance));
        in = next + 2;
        out = to + match + MATCH_MINIMUM;
    }
    stream->in = in;
    stream->out = out;
}

// One sequence of any shape. False when it is damaged. Sets `*last` at the block's end, which is
// after the literals of its last sequence.
static bool copy_sequence(struct lz4_stream *stream, bool *last)
{
    unsigned token = *stream->in++;
    uint64_t literals = token >> 4;
    uint64_t match = token & LENGTH_MASK;

    if (literals == LENGTH_MASK && !extend_length(stream, &literals)) {
        return false;
    }
    if (!copy_literals(stream, literals)) {
        return false;
    }
    *last = stream->in == stream->in_end;
    if (*last) {
        return true;
    }
    if (stream->in_end - stream->in < 2) {
        return false;
    }
    uint64_t distance = stream->in[0] | (uint64_t)stream->in[1] << 8;
    stream->in += 2;
    if (match == LENGTH_MASK && !extend_length(stream, &match)) {
        return false;
    }
    return copy_match(stream, distance, match + MATCH_MINIMUM);
}

enum status lz4_decode_block(const uint8_t *input, uint64_t input_size, uint8_t *output,
                             uint64_t capacity, uint64_t *written)
{
    struct lz4_stream stream = {input, input + input_size, output, output, output + capacity};
    bool last = false;

    *written = 0;
    while (!last) {
        copy_short(&stream);
        // A block never ends inside copy_short, so an empty rest means that it was cut off.
        if (stream.in == stream.in_end || !copy_sequence(&stream, &last)) {
            return STATUS_MALFORMED;
        }
    }
    *written = (uint64_t)(stream.out - output);
    return STATUS_OK;
}

bool lz4_is_legacy(const uint8_t *input, uint64_t input_size)
{
    return input_size >= 4 && read32(input) == LZ4_LEGACY_MAGIC;
}

enum status lz4_decode_legacy(const uint8_t *input, uint64_t input_size, uint8_t *output,
                              uint64_t capacity, uint64_t *written, uint64_t *failed_at)
{
    uint64_t position = 4;

    *written = 0;
    *failed_at = 0;
    if (!lz4_is_legacy(input, input_size)) {
        return STATUS_MALFORMED;
    }
    while (position < input_size) {
        *failed_at = position;
        if (input_size - position < 4) {
            return STATUS_MALFORMED;
        }
        uint64_t block = read32(input + position);
        uint64_t room = capacity - *written;
        uint64_t produced;
        position += 4;
        if (block > input_size - position ||
            lz4_decode_block(input + position, block, output + *written,
                             room < LZ4_BLOCK_BYTES ? room : LZ4_BLOCK_BYTES,
                             &produced) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
        *written += produced;
        position += block;
    }
    return STATUS_OK;
}
