// SPDX-License-Identifier: MIT
// The pure half of the link: queues and flags. See link.h.
#include "vmm/monitor/link.h"

#include "kernel/lib/string.h"
#include "vmm/runtime/tsc.h"

void link_init(struct link *link, uint32_t to_console, uint32_t from_console, uint64_t tsc_hz,
               const uint64_t *now)
{
    memset(link, 0, sizeof(*link));
    link->to_console = to_console;
    link->from_console = from_console;
    link->delay = tsc_ticks(tsc_hz, LINK_OUTPUT_DELAY);
    link->now = now;
    link->flush_at = LINK_NEVER;
    link->output.header.type = MESSAGE_OUTPUT;
    ring_init(&link->input, link->input_memory, sizeof(link->input_memory));
}

void link_output(void *context, uint8_t byte)
{
    struct link *link = context;
    uint32_t length = link->output.header.length;

    if (length == MESSAGE_MAXIMUM) {
        link->output_lost++;
        return;
    }
    if (length == 0) {
        link->flush_at = *link->now + link->delay;
    }
    if (length + 1 >= LINK_OUTPUT_BATCH) {
        link->flush_at = 0;
    }
    link->output.payload[length] = byte;
    link->output.header.length = length + 1;
}

int link_input(void *context, bool take)
{
    struct link *link = context;
    const uint8_t *bytes = NULL;

    if (ring_front(&link->input, &bytes) == 0) {
        return -1;
    }
    int byte = *bytes;
    if (take) {
        ring_drop(&link->input, 1);
        link->consumed++;
        link->consumed_due =
            link->input.count == 0 || link->consumed - link->consumed_told >= LINK_CONSUMED;
    }
    return byte;
}

void link_take(struct link *link, const struct link_message *message)
{
    switch (message->header.type) {
    case MESSAGE_INPUT:
        (void)ring_put(&link->input, message->payload, message->header.length);
        link->input_arrived = true;
        break;
    case MESSAGE_PAUSE:
        link->paused = true;
        break;
    case MESSAGE_RESUME:
        link->paused = false;
        break;
    case MESSAGE_STOP:
        link->stop_wanted = true;
        break;
    case MESSAGE_STATISTICS:
        link->statistics_wanted = true;
        break;
    default:
        break; // a newer console's message
    }
}
