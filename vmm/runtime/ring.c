// SPDX-License-Identifier: MIT
// Byte rings: output and input queues and the scrollback of each console. See ring.h.
#include "vmm/runtime/ring.h"

#include "kernel/lib/string.h"

static size_t smaller(size_t left, size_t right)
{
    return left < right ? left : right;
}

void ring_init(struct ring *ring, uint8_t *memory, size_t size)
{
    *ring = (struct ring){.bytes = memory, .size = size};
}

size_t ring_room(const struct ring *ring)
{
    return ring->size - ring->count;
}

size_t ring_put(struct ring *ring, const uint8_t *bytes, size_t length)
{
    size_t fits = smaller(length, ring_room(ring));

    for (size_t done = 0; done < fits;) {
        size_t tail = (ring->head + ring->count) % ring->size;
        size_t piece = smaller(fits - done, ring->size - tail);

        memcpy(ring->bytes + tail, bytes + done, piece);
        ring->count += piece;
        done += piece;
    }
    ring->total += fits;
    return fits;
}

void ring_put_over(struct ring *ring, const uint8_t *bytes, size_t length)
{
    if (length > ring->size) {
        ring->total += length - ring->size;
        bytes += length - ring->size;
        length = ring->size;
    }
    if (length > ring_room(ring)) {
        ring_drop(ring, length - ring_room(ring));
    }
    (void)ring_put(ring, bytes, length);
}

size_t ring_front(const struct ring *ring, const uint8_t **bytes)
{
    *bytes = ring->bytes + ring->head;
    return smaller(ring->count, ring->size - ring->head);
}

void ring_drop(struct ring *ring, size_t length)
{
    length = smaller(length, ring->count);
    ring->head = (ring->head + length) % ring->size;
    ring->count -= length;
}

size_t ring_copy_tail(const struct ring *ring, size_t from_end, uint8_t *buffer, size_t length)
{
    from_end = smaller(from_end, ring->count);
    length = smaller(length, from_end);
    for (size_t i = 0; i < length; i++) {
        buffer[i] = ring->bytes[(ring->head + ring->count - from_end + i) % ring->size];
    }
    return length;
}
