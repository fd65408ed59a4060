// SPDX-License-Identifier: MIT
// The slot's state machine of channel_slot.h. Host-tested.
#include "kernel/ipc/channel_slot.h"

bool channel_slot_claim(struct channel_slot *slot)
{
    if (slot->busy) {
        return false;
    }
    slot->busy = 1;
    return true;
}

void channel_slot_store(struct channel_slot *slot, uint32_t count)
{
    atomic_store_explicit(&slot->count, count, memory_order_relaxed);
}

enum status channel_slot_peek(const struct channel_slot *slot, size_t capacity, uint32_t *count)
{
    uint32_t stored = atomic_load_explicit(&slot->count, memory_order_relaxed);

    if (!slot->busy || stored == 0) {
        return STATUS_EMPTY;
    }
    if (stored > capacity) {
        return STATUS_TOO_SMALL;
    }
    *count = stored;
    return STATUS_OK;
}

void channel_slot_finish(struct channel_slot *slot, bool sender_woken)
{
    atomic_store_explicit(&slot->count, 0, memory_order_relaxed);
    slot->busy = sender_woken;
}
