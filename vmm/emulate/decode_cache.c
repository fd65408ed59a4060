// SPDX-License-Identifier: MIT
// Decoded instructions by their bytes. A row is used only when mode and every byte of the
// instruction agree, so that a guest may rewrite its code at any time.
#include "vmm/emulate/decode.h"
#include "kernel/lib/string.h"
#include <stddef.h>

static unsigned row_of(uint64_t rip)
{
    return (unsigned)(rip ^ (rip >> 5)) & (DECODE_CACHE_ROWS - 1);
}

static void load(uint64_t words[2], const uint8_t bytes[15])
{
    __builtin_memcpy(&words[0], bytes, 8);
    __builtin_memcpy(&words[1], bytes + 7, 8);
}

const struct instruction *decode_cache_find(const struct decode_cache *cache, uint64_t rip,
                                            const uint8_t bytes[15], uint32_t available,
                                            unsigned mode)
{
    const struct decode_cache_row *row = &cache->row[row_of(rip)];
    uint64_t words[2];

    load(words, bytes);
    if (((words[0] ^ row->bytes[0]) & row->mask[0]) != 0 ||
        ((words[1] ^ row->bytes[1]) & row->mask[1]) != 0)
        return NULL;
    if (row->instruction.mode != mode || row->instruction.length > available)
        return NULL;
    return &row->instruction;
}

void decode_cache_store(struct decode_cache *cache, uint64_t rip, const uint8_t bytes[15],
                        const struct instruction *instruction)
{
    struct decode_cache_row *row = &cache->row[row_of(rip)];
    uint8_t mask[15] = {0};

    memset(mask, 0xff, instruction->length);
    load(row->mask, mask);
    load(row->bytes, bytes);
    row->instruction = *instruction;
}
