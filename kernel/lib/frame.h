// SPDX-License-Identifier: MIT
// Binary data in frames for the debug port. Bochs prints that port on its standard output, between
// what its display writes there; so every byte of a frame has bit 7 set, which the display's bytes
// never have: seven bytes become eight. A checksum and a sequence number show what got lost. Pure.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

// What a frame carries, as the first word of its header.
#define FRAME_EXITS  0x9ec4a7e5u // of the console process: the log of exits (kernel/abi/exit_log.h)
#define FRAME_EVENTS 0xb7d2e1cau // of the kernel: its log of events (kernel/abi/event_log.h)

struct frame_header {
    uint32_t magic;
    uint16_t length; // bytes of payload
    uint8_t source;  // number of the VM, or of the CPU, that it comes from
    uint8_t reserved;
    uint32_t sequence; // of all frames of the run with this magic
    uint32_t checksum; // of payload, source and sequence
};
static_assert(sizeof(struct frame_header) == 16, "scripts/gatehouse/exit_log.py reads this layout");

// Payloads are multiples of 8 bytes.
#define FRAME_PAYLOAD_MAXIMUM 4088u
#define FRAME_MAXIMUM         ((sizeof(struct frame_header) + FRAME_PAYLOAD_MAXIMUM + 6) / 7 * 8)

// Writes the frame of `length` bytes at `payload` to `out`, which has room for FRAME_MAXIMUM bytes.
// Returns its size. `length` is a multiple of 8, at most FRAME_PAYLOAD_MAXIMUM.
// Not reentrant.
size_t frame_make(uint32_t magic, uint8_t source, uint32_t sequence, const void *payload,
                  size_t length, uint8_t *out);
