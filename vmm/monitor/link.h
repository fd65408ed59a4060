// SPDX-License-Identifier: MIT
// The monitor's link to the console process: output in batches, input in a queue, control messages
// as flags. The device models call link_output and link_input, which make no system call; the run
// loop calls the rest. One thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/abi/message.h"
#include "kernel/lib/compiler.h"
#include "vmm/runtime/ring.h"

#define LINK_INPUT_QUEUE  (64u << 10) // bytes
#define LINK_OUTPUT_BATCH 2048u       // bytes: send now
#define LINK_OUTPUT_DELAY 1000u       // microseconds after the first byte: send now
#define LINK_CONSUMED     4096u       // bytes of input between two reports
#define LINK_EVENT_BIT    0u          // event bit of the thread: a message from the console
#define LINK_NEVER        UINT64_MAX

struct link_message {
    struct message_header header;
    uint8_t payload[MESSAGE_MAXIMUM];
};

struct link {
    uint32_t to_console;
    uint32_t from_console;
    uint64_t delay;       // LINK_OUTPUT_DELAY in TSC ticks
    const uint64_t *now;  // TSC of the present exit
    uint64_t flush_at;    // TSC at which the output has to go; LINK_NEVER: there is none
    uint64_t output_lost; // bytes that found no room (one exit printed too much)
    struct link_message output;
    struct ring input;
    uint64_t consumed;      // input bytes the guest has taken
    uint64_t consumed_told; // of them reported
    bool consumed_due;      // the console should hear of them now
    bool input_arrived;     // since link_take_input_flag
    bool receive_blocked;   // a message waits because the queue is full
    bool paused;
    bool stop_wanted;
    bool statistics_wanted;
    uint8_t input_memory[LINK_INPUT_QUEUE];
};

// `now` is read when output begins a batch.
void link_init(struct link *link, uint32_t to_console, uint32_t from_console, uint64_t tsc_hz,
               const uint64_t *now);

// Adds a byte to the output batch; struct platform_config's console_output.
void link_output(void *link, uint8_t byte);

// The next typed byte or -1; struct platform_config's console_input.
int link_input(void *link, bool take);

// Takes a message from the console: input into the queue, the rest into flags. Pure.
void link_take(struct link *link, const struct link_message *message);

// The rest makes system calls (link_calls.c).

// Sends the output batch; sleeps while the console holds us back.
void link_flush(struct link *link);

// Receives what the console has sent, as far as the input queue has room.
void link_receive(struct link *link);

// Reports the input bytes taken so far.
void link_tell_consumed(struct link *link);

// Sends a message with `length` bytes of payload, at most MESSAGE_MAXIMUM.
void link_send(struct link *link, uint32_t type, const void *payload, size_t length);

// One line of host log.
void link_log(struct link *link, const char *line);

// The last message: why the VM ends.
void link_send_ended(struct link *link, uint32_t reason, uint32_t status, const char *why);
