// SPDX-License-Identifier: MIT
// A long paste: bytes arrive at the first serial port as fast as the emulator takes them, while
// other processes send lines that go out there. Each byte says where in the paste it belongs, so
// that the bytes must be those that were sent but for the ones that the kernel counts as lost, each
// at its place. "paste BYTES SENDERS LAZY" behind the module's name: with LAZY the reader sleeps
// for so long, in milliseconds, that the ring overflows.
#include "kernel/lib/format.h"
#include "smoke_smp.h"

#define SENDERS_MAXIMUM 7u
#define SENDER_PAGES    400u
#define TRICKLE         500u // of a second: how often there is a look without an event

enum { EVENT_RECEIVED, EVENT_SENT, EVENT_LINE };

struct paste_options paste;

// As case_kernel.py makes them.
static uint8_t paste_byte(uint64_t place)
{
    uint64_t word = (place + 1) * 0x9e3779b97f4a7c15ull;

    return (uint8_t)((word ^ word >> 29) * 0xbf58476d1ce4e5b9ull >> 56);
}

// -- a sender -------------------------------------------------------------------------------------

struct sender {
    char role[8];
    uint64_t index;
};

int64_t role_paste(void)
{
    const struct sender *sender = (const struct sender *)(const void *)smoke_info->arguments;
    char line[64];

    for (uint64_t number = 0;; number++) {
        size_t length = format_text(line, sizeof(line), "%lu %lu\n", sender->index, number);

        if (channel_send(HANDLE_FIRST_PASSED, line, length) < 0) {
            return 1;
        }
    }
}

static void start_sender(uint32_t channel, uint64_t index, struct child *child)
{
    struct sender sender = {"paste", index};
    struct process_arguments arguments = {
        .module = smoke_module(),
        .handle_count = 1,
        .handles = {channel},
        .arguments = user_address(&sender),
        .argument_bytes = sizeof(sender),
        .cpu = THREAD_CPU((1 + index) % smoke_info->cpu_count),
    };

    child->container = (uint32_t)container_split(HANDLE_SELF_CONTAINER, SENDER_PAGES, 0);
    arguments.container = child->container;
    int64_t process = process_create(&arguments);
    expect("sender", process > 0, 1);
    child->process = (uint32_t)process;
}

static void end_sender(const struct child *child)
{
    expect("destroy", process_destroy(child->process), STATUS_OK);
    expect("revoke", container_revoke(child->container), STATUS_OK);
}

// -- the reader -----------------------------------------------------------------------------------

static uint64_t place; // in the paste, of the next byte
static uint64_t received, lost, wrong, lines;

// Takes what is there. Inside the section nothing arrives, so the bytes that were lost since the
// last time are those before the ones that are there.
static void take_input(void)
{
    uint8_t bytes[512];
    int64_t count;

    expect("enter", serial_interrupt_disable(0), STATUS_OK);
    uint64_t lost_before = lost;
    lost = (uint64_t)serial_lost(0);
    place += lost - lost_before;
    while ((count = serial_read(0, bytes, sizeof(bytes))) > 0) {
        received += (uint64_t)count;
        for (int64_t i = 0; i < count; i++) {
            wrong += bytes[i] != paste_byte(place++);
        }
    }
    expect("leave", serial_interrupt_enable(0), STATUS_OK);
}

// Passes lines on for as long as there are some and the port takes them.
static void pass_lines(uint32_t channel)
{
    static char line[64];
    static uint64_t length, sent;

    do {
        sent += (uint64_t)serial_write(0, line + sent, length - sent);
        if (sent < length) {
            return;
        }
        int64_t size = place < paste.bytes ? channel_receive(channel, line, sizeof(line)) : 0;
        length = size > 0 ? (uint64_t)size : 0;
        lines += length > 0;
        sent = 0;
    } while (length > 0);
}

void test_paste(void)
{
    static struct child senders[SENDERS_MAXIMUM];
    uint32_t channel = (uint32_t)channel_create();
    char text[100];

    expect("bind", serial_bind(0, EVENT_RECEIVED, EVENT_SENT), STATUS_OK);
    expect("bind", channel_bind(channel, EVENT_LINE), STATUS_OK);
    expect("senders", paste.senders <= SENDERS_MAXIMUM, 1);
    for (uint64_t i = 0; i < paste.senders; i++) {
        start_sender(channel, i, &senders[i]);
    }
    smoke_print("paste: ready\n");
    while (place < paste.bytes) {
        take_input();
        pass_lines(channel);
        (void)event_wait(tsc_now() + smoke_info->tsc_hz / TRICKLE);
        for (uint64_t end = tsc_now() + smoke_info->tsc_hz / 1000 * paste.lazy; tsc_now() < end;) {
            (void)event_wait(end);
        }
    }
    for (uint64_t i = 0; i < paste.senders; i++) {
        end_sender(&senders[i]);
    }
    expect("close", handle_close(channel), STATUS_OK);
    expect("wrong bytes", (int64_t)wrong, 0);
    expect("received and lost", (int64_t)(received + lost), (int64_t)paste.bytes);
    (void)format_text(text, sizeof(text), "paste: %lu received, %lu lost, %lu lines\n", received,
                      lost, lines);
    smoke_print(text);
}
