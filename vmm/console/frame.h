// SPDX-License-Identifier: MIT
// Binary data in frames for the debug port. Bochs prints that port on its standard output, between
// what its display writes there; so every byte of a frame has bit 7 set, which the display's bytes
// never have: seven bytes become eight. A checksum and a sequence number show what got lost. Pure.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/abi/message.h"
#include "kernel/lib/compiler.h"

#define FRAME_MAGIC 0x9ec4a7e5u

struct frame_header {
    uint32_t magic;
    uint16_t length; // bytes of payload
    uint8_t vm;      // number of the VM it comes from
    uint8_t reserved;
    uint32_t sequence; // of all frames of the run
    uint32_t checksum; // of payload, VM and sequence
};
static_assert(sizeof(struct frame_header) == 16, "exit_log.py reads this layout");

// Payloads are multiples of 8 bytes.
#define FRAME_PAYLOAD_MAXIMUM (MESSAGE_MAXIMUM / 8 * 8)
#define FRAME_MAXIMUM         ((sizeof(struct frame_header) + FRAME_PAYLOAD_MAXIMUM + 6) / 7 * 8)

// Writes the frame of `length` bytes at `payload` to `out`, which has room for FRAME_MAXIMUM bytes.
// Returns its size. `length` is a multiple of 8, at most FRAME_PAYLOAD_MAXIMUM.
size_t frame_make(uint8_t vm, uint32_t sequence, const void *payload, size_t length, uint8_t *out);
