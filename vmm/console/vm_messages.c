// SPDX-License-Identifier: MIT
// Talking with the monitors: what arrives from them and what waits for them. A message of any
// content is safe: lengths are checked, text is cleaned, and an unknown type is only logged.
// Called by the console process's one thread.
#include "vmm/console/vm_table.h"

#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/console/frame.h"
#include "vmm/runtime/system_call.h"

#define MESSAGES_A_TURN 8u // of one VM before the others have their turn

struct message {
    struct message_header header;
    uint8_t payload[MESSAGE_MAXIMUM];
};
static_assert(sizeof(struct message) == 4096, "one channel transfer");

static void take_log(struct console *console, struct vm *vm, const struct message *message)
{
    console_log(console, "[%.*s] %.*s", (int)vm->config->name.length, vm->config->name.start,
                (int)message->header.length, (const char *)message->payload);
}

// In raw mode only the first VM has the terminal. What the others print goes to the host log, a
// line at a time, so that it is not lost.
static bool is_in_background(const struct console *console, const struct vm *vm)
{
    return console->mux.raw && vm->number > 1;
}

static void take_output(struct console *console, struct vm *vm, const struct message *message)
{
    mux_output(&console->mux, vm->number, message->payload, message->header.length);
    for (uint32_t i = 0; i < message->header.length && is_in_background(console, vm); i++) {
        if (line_take(&vm->background, message->payload[i])) {
            console_log(console, "[%.*s]> %s", (int)vm->config->name.length, vm->config->name.start,
                        vm->background.text);
        }
    }
}

static void take_ended(struct console *console, struct vm *vm, const struct message *message)
{
    struct message_ended ended;
    char why[CONSOLE_WHY];

    if (message->header.length < sizeof(ended)) {
        vm_end(console, vm, END_MONITOR_FAULT, RUN_UNHANDLED, "its last message is too short");
        return;
    }
    memcpy(&ended, message->payload, sizeof(ended));
    (void)format_text(why, sizeof(why), "%.*s", (int)(message->header.length - sizeof(ended)),
                      (const char *)message->payload + sizeof(ended));
    line_clean(why, strlen(why));
    vm_end(console, vm, ended.reason, ended.status & 0xff, why);
}

static void take_consumed(struct console *console, struct vm *vm, const struct message *message)
{
    uint64_t bytes;

    if (message->header.length == sizeof(bytes)) {
        memcpy(&bytes, message->payload, sizeof(bytes));
        bytes += vm->input_before; // what an earlier monitor left unread is gone
        console_machine_line(console, "input %u %llu", vm->number, (unsigned long long)bytes);
    }
}

// Exits for the log: to the debug port, which only an emulator has.
static void take_exits(struct console *console, struct vm *vm, const struct message *message)
{
    static uint8_t frame[FRAME_MAXIMUM];
    size_t length = message->header.length & ~(size_t)7;
    size_t size =
        frame_make((uint8_t)vm->number, console->frames++, message->payload, length, frame);
    enum status status = STATUS_OK;

    for (size_t done = 0; done < size && status == STATUS_OK; done += DEBUG_WRITE_MAXIMUM) {
        size_t piece = size - done < DEBUG_WRITE_MAXIMUM ? size - done : DEBUG_WRITE_MAXIMUM;

        status = debug_write(frame + done, piece);
    }
    if (status != STATUS_OK && !console->log_refused) {
        console->log_refused = true;
        console_log(console, "console: the exit log cannot leave the machine: %s",
                    status_name(status));
    }
}

// For scripts alone.
static void take_stats(struct console *console, struct vm *vm, const char *text, size_t length)
{
    struct line line = {0};

    for (size_t i = 0; i < length; i++) {
        if (line_take(&line, (uint8_t)text[i])) {
            console_machine_line(console, "stats %u %s", vm->number, line.text);
        }
    }
}

static void take_report(struct console *console, struct vm *vm, const char *text, size_t length)
{
    struct line line = {0};

    for (size_t i = 0; i < length; i++) {
        if (line_take(&line, (uint8_t)text[i])) {
            if (vm->report_asked) {
                mux_notice(&console->mux, line.text);
            }
            console_machine_line(console, "report %u %s", vm->number, line.text);
        }
    }
    vm->report_asked = false;
}

static void take(struct console *console, struct vm *vm, const struct message *message)
{
    switch (message->header.type) {
    case MESSAGE_OUTPUT:
        take_output(console, vm, message);
        break;
    case MESSAGE_LOG:
        take_log(console, vm, message);
        break;
    case MESSAGE_ENDED:
        take_ended(console, vm, message);
        break;
    case MESSAGE_CONSUMED:
        take_consumed(console, vm, message);
        break;
    case MESSAGE_STATS:
        take_stats(console, vm, (const char *)message->payload, message->header.length);
        break;
    case MESSAGE_REPORT:
        take_report(console, vm, (const char *)message->payload, message->header.length);
        break;
    case MESSAGE_EXITS:
        take_exits(console, vm, message);
        break;
    default:
        console_log(console, "console: vm %u sent a message of unknown type %u", vm->number,
                    message->header.type);
        break;
    }
}

// Receives one message. False: there is none, or no room for what it could hold.
static bool receive(struct console *console, struct vm *vm, struct message *message)
{
    int64_t length;

    if (mux_room(&console->mux, vm->number) < MESSAGE_MAXIMUM ||
        (is_in_background(console, vm) && ring_room(&console->log_queue) < 2 * MESSAGE_MAXIMUM)) {
        return false; // stays ready: the terminal or the log is behind
    }
    length = channel_receive(vm->from_vm, message, sizeof(*message));
    if (length < 0) {
        vm->message_ready = false;
        return false;
    }
    if ((uint64_t)length < sizeof(message->header) ||
        message->header.length > (uint64_t)length - sizeof(message->header)) {
        console_log(console, "console: vm %u sent a malformed message", vm->number);
        message->header.type = MESSAGE_OUTPUT;
        message->header.length = 0;
    }
    return true;
}

void vm_take_messages(struct console *console, struct vm *vm)
{
    struct message message;

    for (unsigned i = 0; i < MESSAGES_A_TURN && vm->state != VM_ENDED && vm->message_ready; i++) {
        if (!receive(console, vm, &message)) {
            return;
        }
        take(console, vm, &message);
    }
}

static bool send_controls(struct vm *vm)
{
    for (uint32_t type = MESSAGE_PAUSE; type <= MESSAGE_STATISTICS; type++) {
        struct message_header header = {type, 0};
        uint32_t bit = 1u << (type - MESSAGE_PAUSE);

        if (!(vm->controls & bit)) {
            continue;
        }
        if (call_status(channel_try_send(vm->to_vm, &header, sizeof(header))) == STATUS_BUSY) {
            return false;
        }
        vm->controls &= ~bit;
    }
    return true;
}

static bool send_input(struct vm *vm)
{
    struct message message;

    while (vm->input.count > 0) {
        const uint8_t *bytes = NULL;
        size_t length = ring_front(&vm->input, &bytes);

        length = length < MESSAGE_MAXIMUM ? length : MESSAGE_MAXIMUM;
        message.header = (struct message_header){MESSAGE_INPUT, (uint32_t)length};
        memcpy(message.payload, bytes, length);
        if (call_status(channel_try_send(vm->to_vm, &message, sizeof(message.header) + length)) ==
            STATUS_BUSY) {
            return false;
        }
        ring_drop(&vm->input, length);
        vm->input_sent += length;
    }
    return true;
}

bool vm_send_waiting(struct vm *vm)
{
    if (vm->state == VM_ENDED) {
        ring_drop(&vm->input, vm->input.count);
        return false;
    }
    return !send_controls(vm) || !send_input(vm);
}
