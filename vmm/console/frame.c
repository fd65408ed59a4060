// SPDX-License-Identifier: MIT
// Frames for the debug port: see frame.h. Called by the console process's one thread.
#include "vmm/console/frame.h"

#include "kernel/lib/string.h"

// Loads and stores of any alignment; a call of memcpy for each would cost more than all the rest.
static inline uint64_t load(const uint8_t *from)
{
    uint64_t word;

    __builtin_memcpy(&word, from, sizeof(word));
    return word;
}

// Rotates and adds, a word at a time: the log is large, and every tick counts.
static uint32_t checksum_of(uint8_t vm, uint32_t sequence, const uint8_t *payload, size_t length)
{
    uint64_t sum = (uint64_t)vm << 32 | sequence;

#pragma GCC unroll 8
    for (const uint8_t *end = payload + length; payload != end; payload += 8) {
        sum = (sum << 7 | sum >> 57) + load(payload);
    }
    return (uint32_t)(sum ^ sum >> 32);
}

// Seven bytes to eight with bit 7 set: the last holds the others' own bits 7, which the
// multiplication collects.
static inline uint64_t spread(uint64_t word)
{
    uint64_t collected = (word & 0x0080808080808080) * 0x0002040810204081;

    return (word & 0x00ffffffffffffff) | (collected & 0xff00000000000000) | 0x8080808080808080;
}

// `from` is followed by at least 8 readable bytes.
static uint8_t *pack(const uint8_t *from, size_t length, uint8_t *out)
{
    size_t groups = (length + 6) / 7;

#pragma GCC unroll 8
    for (size_t i = 0; i < groups; i++) {
        uint64_t word = spread(load(from + 7 * i));

        __builtin_memcpy(out + 8 * i, &word, sizeof(word));
    }
    return out + 8 * groups;
}

size_t frame_make(uint8_t vm, uint32_t sequence, const void *payload, size_t length, uint8_t *out)
{
    static uint8_t plain[sizeof(struct frame_header) + FRAME_PAYLOAD_MAXIMUM + 8];
    struct frame_header header = {.magic = FRAME_MAGIC,
                                  .length = (uint16_t)length,
                                  .vm = vm,
                                  .sequence = sequence,
                                  .checksum = checksum_of(vm, sequence, payload, length)};
    size_t size = sizeof(header) + length;

    memcpy(plain, &header, sizeof(header));
    memcpy(plain + sizeof(header), payload, length);
    memset(plain + size, 0, 8); // the last group may be longer than the frame
    return (size_t)(pack(plain, size, out) - out);
}
