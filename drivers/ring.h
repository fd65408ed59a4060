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

/*@
  // The state of a ring that may be used: its indices name slots, and it holds less than it has.
  predicate ring_valid(struct ring *r) =
    2 <= r->size && r->read < r->size && r->write < r->size &&
    \valid(r) && \valid(r->slots + (0 .. r->size - 1)) &&
    \separated(r, r->slots + (0 .. r->size - 1));

  // What is in it: how many bytes, and the byte at each place counted from the oldest.
  logic integer ring_length{L}(struct ring *r) =
    r->write >= r->read ? r->write - r->read : r->size - r->read + r->write;
  logic integer ring_slot{L}(struct ring *r, integer place) =
    r->read + place < r->size ? r->read + place : r->read + place - r->size;
  logic integer ring_byte{L}(struct ring *r, integer place) = r->slots[ring_slot(r, place)];

  // From A to B the oldest `gone` bytes went and all others kept their order.
  predicate ring_dropped{A, B}(struct ring *r, integer gone) =
    \forall integer i; 0 <= i < \at(ring_length(r), A) - gone ==>
      \at(ring_byte(r, i), B) == \at(ring_byte(r, i + gone), A);
*/

// `slots` has `size` >= 2 bytes.
/*@
  requires 2 <= size && \valid(ring) && \valid(slots + (0 .. size - 1));
  requires \separated(ring, slots + (0 .. size - 1));
  terminates \true;
  assigns *ring;
  ensures ring_valid(ring) && ring->slots == slots && ring->size == size;
  ensures ring_length(ring) == 0 && ring->dropped == 0;
*/
void ring_initialize(struct ring *ring, uint8_t *slots, uint32_t size);

/*@
  requires ring_valid(ring);
  terminates \true;
  assigns \nothing;
  ensures \result == ring_length(ring) && \result < ring->size;
*/
uint32_t ring_count(const struct ring *ring); // bytes stored

// Appends a byte; false, and nothing changed, when full.
/*@
  requires ring_valid(ring);
  terminates \true;
  assigns ring->write, ring->slots[ring->write];
  ensures ring_valid(ring);
  ensures ring_dropped{Old, Here}(ring, 0);
  behavior full:
    assumes ring_length(ring) == ring->size - 1;
    assigns \nothing;
    ensures !\result;
  behavior space:
    assumes ring_length(ring) < ring->size - 1;
    ensures \result && ring_length(ring) == \old(ring_length(ring)) + 1;
    ensures ring_byte(ring, \old(ring_length(ring))) == byte;
  complete behaviors;
  disjoint behaviors;
*/
bool ring_push(struct ring *ring, uint8_t byte);

// Appends a byte; when full the oldest goes and `dropped` counts it.
/*@
  requires ring_valid(ring) && ring->dropped < UINT64_MAX;
  terminates \true;
  assigns ring->read, ring->write, ring->dropped, ring->slots[ring->write];
  ensures ring_valid(ring);
  ensures ring_byte(ring, ring_length(ring) - 1) == byte;
  behavior full:
    assumes ring_length(ring) == ring->size - 1;
    ensures ring->dropped == \old(ring->dropped) + 1;
    ensures ring_length(ring) == ring->size - 1 && ring_dropped{Old, Here}(ring, 1);
  behavior space:
    assumes ring_length(ring) < ring->size - 1;
    ensures ring->dropped == \old(ring->dropped) && ring->read == \old(ring->read);
    ensures ring_length(ring) == \old(ring_length(ring)) + 1 && ring_dropped{Old, Here}(ring, 0);
  complete behaviors;
  disjoint behaviors;
*/
void ring_push_over(struct ring *ring, uint8_t byte);

// Removes the oldest byte and returns it, or -1 when empty.
/*@
  requires ring_valid(ring);
  terminates \true;
  assigns ring->read;
  ensures ring_valid(ring);
  behavior empty:
    assumes ring_length(ring) == 0;
    assigns \nothing;
    ensures \result == -1 && ring->read == \old(ring->read);
  behavior some:
    assumes ring_length(ring) > 0;
    ensures \result == \old(ring_byte(ring, 0));
    ensures ring_length(ring) == \old(ring_length(ring)) - 1 && ring_dropped{Old, Here}(ring, 1);
  complete behaviors;
  disjoint behaviors;
*/
int ring_pop(struct ring *ring);
