// SPDX-License-Identifier: MIT
// Byte rings in memory the caller gives. Two disciplines on one struct: a queue refuses what does
// not fit; a scrollback forgets the oldest bytes. Pure, no lock: one thread uses a ring.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ring {
    uint8_t *bytes;
    size_t size;    // of the memory, in bytes
    size_t head;    // index of the oldest byte
    size_t count;   // bytes held
    uint64_t total; // bytes ever put in
};

// Makes `ring` an empty ring over `size` bytes at `memory`.
void ring_init(struct ring *ring, uint8_t *memory, size_t size);

// Bytes that ring_put would take.
size_t ring_room(const struct ring *ring);

// Appends up to `length` bytes; returns how many fit.
size_t ring_put(struct ring *ring, const uint8_t *bytes, size_t length);

// Appends all of them and forgets as many of the oldest as that needs.
void ring_put_over(struct ring *ring, const uint8_t *bytes, size_t length);

// The longest piece of the oldest bytes that lies in one run; *bytes points into the ring.
size_t ring_front(const struct ring *ring, const uint8_t **bytes);

// Drops the oldest `length` bytes, at most all of them.
void ring_drop(struct ring *ring, size_t length);

// Copies `length` bytes that start `from_end` bytes before the newest end. Both are limited to what
// the ring holds. Returns the bytes copied.
size_t ring_copy_tail(const struct ring *ring, size_t from_end, uint8_t *buffer, size_t length);
