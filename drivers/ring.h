// SPDX-License-Identifier: MIT
// A byte ring of a fixed number of slots that holds one byte less. Pure; the driver that owns a
// ring guards it. Used by serial.c for the console ring (512 slots) and the transmit ring.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
    uint8_t *slots;
    uint32_t size;    // slots
    uint32_t read;    // index of the oldest byte
    uint32_t write;   // index of the next free slot
    uint64_t dropped; // bytes lost by ring_push_over
};

// `slots` has `size` >= 2 bytes.
void ring_initialize(struct ring *ring, uint8_t *slots, uint32_t size);

uint32_t ring_count(const struct ring *ring); // bytes stored
uint32_t ring_space(const struct ring *ring); // bytes that still fit

// Appends a byte; false, and nothing changed, when full.
bool ring_push(struct ring *ring, uint8_t byte);

// Appends a byte; when full the oldest goes and `dropped` counts it.
void ring_push_over(struct ring *ring, uint8_t byte);

// Removes the oldest byte and returns it, or -1 when empty.
int ring_pop(struct ring *ring);
