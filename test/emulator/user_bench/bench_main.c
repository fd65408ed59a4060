// SPDX-License-Identifier: MIT
// Measures system calls and channels from ring 3, in the place of the console process: one line
// "bench NAME TICKS" each. Its child is the same program and sends every message back.
#include <stdbool.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/runtime/program.h"
#include "vmm/runtime/system_call.h"
#include "vmm/runtime/tsc.h"

#define ROUNDS      1000u
#define CHILD_PAGES 400u
#define BIT         0u

static ALIGNED(4096) uint8_t message[4096];

static void print(const char *name, uint64_t ticks)
{
    char line[80];

    (void)format_text(line, sizeof(line), "bench %s %lu\n", name, ticks);
    for (const char *at = line; *at; at++) {
        (void)!serial_putc(1, (uint8_t)*at);
    }
}

// Sleeps until a message comes, and takes it.
static void wait_for(uint32_t channel)
{
    do {
        (void)event_wait(0);
    } while (channel_receive(channel, message, sizeof(message)) == -STATUS_EMPTY);
}

// What the loop and the reading of the counter take.
static uint64_t empty_loop(void)
{
    uint64_t start = tsc_now();

    for (uint32_t i = 0; i < ROUNDS; i++) {
        __asm__ volatile("");
    }
    return tsc_now() - start;
}

static void bench_null(void)
{
    uint64_t start = tsc_now();

    for (uint32_t i = 0; i < ROUNDS; i++) {
        (void)system_null();
    }
    print("null_system_call", (tsc_now() - start - empty_loop()) / ROUNDS);
}

static uint32_t open_own_module(void)
{
    struct module_info info;

    for (uint32_t i = 0;; i++) {
        int64_t handle = module_open(i, &info);

        if (handle < 0 || strcmp(info.name, "console") == 0) {
            ASSERT(handle >= 0);
            return (uint32_t)handle;
        }
    }
}

// Sends a message and waits for its answer, in one call or by events.
static uint64_t round_trip(uint32_t send, uint32_t receive, uint64_t bytes)
{
    uint64_t start = tsc_now();

    for (uint32_t i = 0; i < ROUNDS; i++) {
        ASSERT(channel_exchange(receive, send, message, bytes, sizeof(message)) == (int64_t)bytes);
    }
    return (tsc_now() - start - empty_loop()) / ROUNDS;
}

static uint64_t round_trip_by_events(uint32_t send, uint32_t receive)
{
    uint64_t start = tsc_now();

    for (uint32_t i = 0; i < ROUNDS; i++) {
        ASSERT(channel_send(send, message, 1) == 1);
        wait_for(receive);
    }
    return (tsc_now() - start - empty_loop()) / ROUNDS;
}

// Starts a child that answers in one call or by events.
static void start_child(uint32_t *send, uint32_t *receive, bool by_events)
{
    int64_t to = channel_create();
    int64_t from = channel_create();
    int64_t container = container_split(HANDLE_SELF_CONTAINER, CHILD_PAGES, 0);
    struct process_arguments arguments = {
        .module = open_own_module(),
        .container = (uint32_t)container,
        .handle_count = 2,
        .handles = {(uint32_t)from, (uint32_t)to},
        .argument_bytes = by_events,
        .arguments = (uint64_t)(uintptr_t)message,
    };

    ASSERT(process_create(&arguments) >= 0);
    ASSERT(channel_bind((uint32_t)from, BIT) == STATUS_OK);
    *send = (uint32_t)to;
    *receive = (uint32_t)from;
}

static void bench_channels(void)
{
    uint32_t send;
    uint32_t receive;

    start_child(&send, &receive, false);
    (void)round_trip(send, receive, 1);
    print("channel_round_trip", round_trip(send, receive, 1));
    print("channel_round_trip_page", round_trip(send, receive, sizeof(message)));
    start_child(&send, &receive, true);
    (void)round_trip_by_events(send, receive);
    print("channel_round_trip_events", round_trip_by_events(send, receive));
}

static NORETURN void send_back(void)
{
    int64_t count = 0; // nothing to answer yet

    for (;;) {
        count = channel_exchange(HANDLE_FIRST_PASSED + 1, HANDLE_FIRST_PASSED, message,
                                 (uint64_t)count, sizeof(message));
        ASSERT(count > 0);
    }
}

static NORETURN void send_back_by_events(void)
{
    for (;;) {
        (void)event_wait(0);
        int64_t count = channel_receive(HANDLE_FIRST_PASSED + 1, message, sizeof(message));

        ASSERT(count == -STATUS_EMPTY ||
               channel_send(HANDLE_FIRST_PASSED, message, (uint64_t)count) == count);
    }
}

static NORETURN void be_child(bool by_events)
{
    ASSERT(channel_bind(HANDLE_FIRST_PASSED + 1, BIT) == STATUS_OK);
    if (by_events) {
        send_back_by_events();
    }
    send_back();
}

int64_t program_main(const struct process_info *info)
{
    if (!info->is_root) {
        be_child(info->argument_bytes > 0);
    }
    bench_null();
    bench_channels();
    (void)machine_end(0);
    return 0;
}
