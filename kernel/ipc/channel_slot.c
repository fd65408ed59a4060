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
    slot->count = count;
}

enum status channel_slot_peek(const struct channel_slot *slot, size_t capacity, uint32_t *count)
{
    if (!slot->busy || slot->count == 0) {
        return STATUS_EMPTY;
    }
    if (slot->count > capacity) {
        return STATUS_TOO_SMALL;
    }
    *count = slot->count;
    return STATUS_OK;
}

void channel_slot_finish(struct channel_slot *slot, bool sender_woken)
{
    slot->count = 0;
    slot->busy = sender_woken;
}
