// SPDX-License-Identifier: MIT
// The half of the link that makes system calls. See link.h.
#include "vmm/monitor/link.h"

#include "kernel/lib/string.h"
#include "vmm/runtime/program.h"
#include "vmm/runtime/system_call.h"

#define WHY_MAXIMUM 400u // bytes of the last message's text

// Nobody listens any more when the channel is gone: the process ends.
static void send_message(const struct link *link, const struct link_message *message)
{
    int64_t sent =
        channel_send(link->to_console, message, sizeof(message->header) + message->header.length);

    if (sent < 0) {
        process_exit(PROGRAM_FAILED);
    }
}

void link_flush(struct link *link)
{
    link->flush_at = LINK_NEVER;
    if (link->output.header.length > 0) {
        send_message(link, &link->output);
        link->output.header.length = 0;
    }
}

void link_receive(struct link *link)
{
    struct link_message message;

    for (;;) {
        int64_t length;

        link->receive_blocked = ring_room(&link->input) < MESSAGE_MAXIMUM;
        if (link->receive_blocked) {
            return;
        }
        length = channel_receive(link->from_console, &message, sizeof(message));
        if (length < (int64_t)sizeof(message.header)) {
            return;
        }
        if (message.header.length <= (uint64_t)length - sizeof(message.header)) {
            link_take(link, &message);
        }
    }
}

void link_send(struct link *link, uint32_t type, const void *payload, size_t length)
{
    struct link_message message; // what the message does not use stays unset: zeros would cost

    ASSERT(length <= sizeof(message.payload));
    message.header = (struct message_header){type, (uint32_t)length};
    memcpy(message.payload, payload, length);
    send_message(link, &message);
}

void link_tell_consumed(struct link *link)
{
    link->consumed_told = link->consumed;
    link->consumed_due = false;
    link_send(link, MESSAGE_CONSUMED, &link->consumed, sizeof(link->consumed));
}

void link_log(struct link *link, const char *line)
{
    link_send(link, MESSAGE_LOG, line, strnlen(line, MESSAGE_MAXIMUM));
}

void link_send_ended(struct link *link, uint32_t reason, uint32_t status, const char *why)
{
    struct message_ended ended = {reason, status};
    uint8_t payload[sizeof(ended) + WHY_MAXIMUM];
    size_t length = strnlen(why, WHY_MAXIMUM);

    memcpy(payload, &ended, sizeof(ended));
    memcpy(payload + sizeof(ended), why, length);
    link_send(link, MESSAGE_ENDED, payload, sizeof(ended) + length);
}
