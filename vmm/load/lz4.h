// SPDX-License-Identifier: MIT
// LZ4 decoder for the "legacy" frame that Linux images carry: the magic number, then blocks, each a
// little-endian length and an independent block of at most 8 MiB of output. Every read and write is
// bounds-checked; hostile input gives a refusal, never an access outside the buffers. Pure.
// Follows the "LZ4 Block Format" and "LZ4 Frame Format" (section "Legacy frame").
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define LZ4_LEGACY_MAGIC 0x184c2102u
#define LZ4_BLOCK_BYTES  (8u << 20) // output of one block, at most

// True when `input` starts with the legacy frame's magic number.
bool lz4_is_legacy(const uint8_t *input, uint64_t input_size);

// Decodes one block of `input_size` bytes into at most `capacity` bytes of `output` and stores the
// number written. STATUS_MALFORMED: the block is damaged or longer than `capacity`.
enum status lz4_decode_block(const uint8_t *input, uint64_t input_size, uint8_t *output,
                             uint64_t capacity, uint64_t *written) MUST_CHECK;

// Decodes a legacy frame. `*written` bytes of `output` are valid afterwards. STATUS_MALFORMED: not
// such a frame, damaged, or it does not fit in `capacity`; `*failed_at` is then the input offset of
// the block at fault.
enum status lz4_decode_legacy(const uint8_t *input, uint64_t input_size, uint8_t *output,
                              uint64_t capacity, uint64_t *written, uint64_t *failed_at) MUST_CHECK;
