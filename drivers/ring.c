// SPDX-License-Identifier: MIT
// The byte ring; see ring.h. Pure; its owner guards it.
#include "drivers/ring.h"

void ring_initialize(struct ring *ring, uint8_t *slots, uint32_t size)
{
    *ring = (struct ring){.slots = slots, .size = size};
}

/*@
  requires ring_valid(ring) && index < ring->size;
  terminates \true;
  assigns \nothing;
  ensures \result == (index == ring->size - 1 ? 0 : index + 1);
*/
static uint32_t next(const struct ring *ring, uint32_t index)
{
    return index + 1 == ring->size ? 0 : index + 1;
}

uint32_t ring_count(const struct ring *ring)
{
    return ring->write >= ring->read ? ring->write - ring->read
                                     : ring->size - ring->read + ring->write;
}

bool ring_push(struct ring *ring, uint8_t byte)
{
    uint32_t after = next(ring, ring->write);
    if (after == ring->read) {
        return false;
    }
    ring->slots[ring->write] = byte;
    ring->write = after;
    return true;
}

void ring_push_over(struct ring *ring, uint8_t byte)
{
    uint32_t after = next(ring, ring->write);
    if (after == ring->read) {
        ring->read = next(ring, ring->read);
        ring->dropped++;
    }
    ring->slots[ring->write] = byte;
    ring->write = after;
}

int ring_pop(struct ring *ring)
{
    if (ring->read == ring->write) {
        return -1;
    }
    int byte = ring->slots[ring->read];
    ring->read = next(ring, ring->read);
    return byte;
}
