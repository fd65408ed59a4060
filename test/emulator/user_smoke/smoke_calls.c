// SPDX-License-Identifier: MIT
// System calls of one process: arguments that are refused, memory, handles, threads, events.
#include "smoke.h"
#include "kernel/lib/address.h"
#include "kernel/lib/string.h"

#define KERNEL_ADDRESS 0xffff800000000000ull

static void check_numbers(void)
{
    expect("null", system_null(), 0);
    expect("number too large", system_call(SYSTEM_CALL_COUNT, 0, 0, 0, 0, 0), -STATUS_INVALID);
    expect("wild number", system_call(UINT64_MAX, 0, 0, 0, 0, 0), -STATUS_INVALID);
}

static void check_memory(void)
{
    int64_t small = memory_allocate(100);
    int64_t large = memory_allocate(3 * LARGE_PAGE_SIZE + 1);

    expect("small", small > 0 && is_aligned((uint64_t)small, PAGE_SIZE), 1);
    expect("large", large > 0 && is_aligned((uint64_t)large, LARGE_PAGE_SIZE), 1);
    uint64_t *words = (uint64_t *)large;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 3 * LARGE_PAGE_SIZE / sizeof(*words); i += 64) {
        sum += words[i];
        words[i] = i;
    }
    expect("zeroed", (int64_t)sum, 0);
    expect("free part", memory_free((uint64_t)large, LARGE_PAGE_SIZE), STATUS_NOT_FOUND);
    expect("free inside", memory_free((uint64_t)large + PAGE_SIZE, 100), STATUS_NOT_FOUND);
    expect("free large", memory_free((uint64_t)large, 3 * LARGE_PAGE_SIZE + 1), STATUS_OK);
    expect("free again", memory_free((uint64_t)large, 3 * LARGE_PAGE_SIZE + 1), STATUS_NOT_FOUND);
    expect("free small", memory_free((uint64_t)small, 100), STATUS_OK);
    expect("free the program", memory_free(0x400000, PAGE_SIZE) != STATUS_OK, 1);
    expect("nothing", memory_allocate(0), -STATUS_INVALID);
    int64_t everything = memory_allocate(1ull << 46);
    expect("everything", everything == -STATUS_QUOTA || everything == -STATUS_NO_MEMORY, 1);
    expect("wrapping", memory_allocate(UINT64_MAX), -STATUS_INVALID);
}

static void check_pointers(void)
{
    struct container_info *at;
    static const uint64_t bad[] = {
        0,       1, KERNEL_ADDRESS, UINT64_MAX - 3, 0x0000800000000000ull - 8,
        0x400000 /* our text, read-only */};

    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        at = (struct container_info *)bad[i];
        expect("bad pointer", container_info_get(HANDLE_SELF_CONTAINER, at), STATUS_FAULT);
    }
    expect("log to the kernel", log_read((void *)KERNEL_ADDRESS, 16), -STATUS_FAULT);
    expect("serial from nowhere", serial_write(1, (void *)8, 16), -STATUS_FAULT);
}

static void check_handles(void)
{
    struct container_info info;
    int64_t channel = channel_create();

    expect("channel", channel >= HANDLE_FIRST_PASSED, 1);
    expect("wrong kind", container_info_get((uint32_t)channel, &info), STATUS_DENIED);
    expect("no handle", container_info_get(100, &info), STATUS_NOT_FOUND);
    expect("wild handle", container_info_get(UINT32_MAX, &info), STATUS_NOT_FOUND);
    expect("close", handle_close((uint32_t)channel), STATUS_OK);
    expect("close again", handle_close((uint32_t)channel), STATUS_NOT_FOUND);
    expect("close own container", handle_close(HANDLE_SELF_CONTAINER), STATUS_INVALID);
    expect("revoke own container", container_revoke(HANDLE_SELF_CONTAINER), STATUS_INVALID);
    expect("destroy itself", process_destroy(HANDLE_SELF_PROCESS), STATUS_INVALID);
    expect("watch itself", process_bind(HANDLE_SELF_PROCESS, 1), STATUS_INVALID);
}

static void check_channel(void)
{
    static uint8_t buffer[4097];
    uint32_t channel = (uint32_t)channel_create();

    expect("receive nothing", channel_receive(channel, buffer, 4096), -STATUS_EMPTY);
    expect("send nothing", channel_send(channel, buffer, 0), -STATUS_INVALID);
    expect("send too much", channel_send(channel, buffer, 4097), -STATUS_INVALID);
    expect("send bad", channel_send(channel, (void *)KERNEL_ADDRESS, 8), -STATUS_FAULT);
    buffer[0] = 42;
    buffer[4095] = 43;
    expect("send", channel_send(channel, buffer, 4096), 4096);
    expect("slot taken", channel_try_send(channel, buffer, 4096), -STATUS_BUSY);
    expect("bind", channel_bind(channel, 7), STATUS_OK);
    expect("event", (int64_t)event_wait(0), 1 << 7);
    expect("too small", channel_receive(channel, buffer, 4095), -STATUS_TOO_SMALL);
    expect("receive bad", channel_receive(channel, (void *)0x400000, 4096), -STATUS_FAULT);
    memset(buffer, 0, sizeof(buffer));
    expect("receive", channel_receive(channel, buffer, sizeof(buffer)), 4096);
    expect("contents", buffer[0] == 42 && buffer[4095] == 43, 1);
    expect("bad bit", channel_bind(channel, 63), STATUS_INVALID);
    expect("close", handle_close(channel), STATUS_OK);
}

static uint64_t exchange_channels;

// Answers on one channel what comes on the other, twice as much, until a message of one byte.
static void answer(uint64_t argument)
{
    static uint8_t buffer[4096];
    uint32_t from = (uint32_t)exchange_channels;
    uint32_t to = (uint32_t)(exchange_channels >> 32);
    int64_t count = 0;

    (void)argument;
    expect("bind", channel_bind(from, 5), STATUS_OK);
    do {
        count = channel_exchange(from, to, buffer, (uint64_t)count * 2, sizeof(buffer));
    } while (count > 1);
    expect("last", count, 1);
    (void)thread_exit();
}

static void check_exchange(void)
{
    static uint8_t buffer[4097];
    static ALIGNED(16) uint8_t stack[8192];
    uint32_t from = (uint32_t)channel_create();
    uint32_t to = (uint32_t)channel_create();

    expect("not bound", channel_exchange(from, to, buffer, 1, 4096), -STATUS_STATE);
    expect("bind", channel_bind(from, 9), STATUS_OK);
    expect("too much", channel_exchange(from, to, buffer, 4097, 4096), -STATUS_INVALID);
    expect("no room", channel_exchange(from, to, buffer, 1, 0), -STATUS_INVALID);
    expect("not ours", channel_exchange(from, to, (void *)KERNEL_ADDRESS, 1, 1), -STATUS_FAULT);
    expect("not writable", channel_exchange(from, to, (void *)0x400000, 1, 1), -STATUS_FAULT);
    expect("no channel", channel_exchange(100, to, buffer, 1, 4096), -STATUS_NOT_FOUND);
    expect("no channel", channel_exchange(from, 100, buffer, 1, 4096), -STATUS_NOT_FOUND);
    expect("no channel", channel_exchange(from, HANDLE_SELF_PROCESS, buffer, 1, 4096),
           -STATUS_DENIED);
    expect("nothing sent", channel_receive(to, buffer, 4096), -STATUS_EMPTY);
    expect("to itself", channel_exchange(from, from, buffer, 7, 4096), 7);
    expect("too small", channel_exchange(from, from, buffer, 8, 7), -STATUS_TOO_SMALL);
    expect("there already", channel_exchange(from, 100, buffer, 0, 4096), 8);
    exchange_channels = to | (uint64_t)from << 32;
    int64_t thread = thread_create(answer, stack + 8184, 0);
    expect("thread", thread > 0, 1);
    for (uint64_t i = 2; i <= 2048; i++) {
        memset(buffer, (int)i, i);
        expect("answer", channel_exchange(from, to, buffer, i, 4096), (int64_t)i * 2);
        expect("contents", buffer[0] == (uint8_t)i && buffer[i - 1] == (uint8_t)i, 1);
    }
    expect("end", channel_send(to, buffer, 1), 1);
    expect("events", (int64_t)event_wait(0), 1 << 9);
    expect("close", handle_close((uint32_t)thread), STATUS_OK);
    expect("close", handle_close(from), STATUS_OK);
    expect("close", handle_close(to), STATUS_OK);
}

static void check_serial(void)
{
    uint8_t bytes[8];

    expect("bad port", serial_putc(2, 'x'), -STATUS_NOT_FOUND);
    expect("wild port", console_buffer_read(UINT32_MAX), -STATUS_NOT_FOUND);
    expect("bad bit", serial_bind(0, 62, 63), STATUS_INVALID);
    expect("bind", serial_bind(0, 3, 4), STATUS_OK);
    expect("bind again", serial_bind(0, 5, 6), STATUS_OK);
    expect("no input", console_buffer_read(0), -STATUS_EMPTY);
    expect("no input", serial_read(0, bytes, sizeof(bytes)), 0);
    expect("nothing lost", serial_lost(0), 0);
    expect("leave first", serial_interrupt_enable(0), STATUS_STATE);
    expect("enter", serial_interrupt_disable(0), STATUS_OK);
    expect("enter twice", serial_interrupt_disable(0), STATUS_STATE);
    expect("leave", serial_interrupt_enable(0), STATUS_OK);
    expect("queue", serial_write(0, "hello\r\n", 7), 7);
}

// More than the ring holds: part is accepted, and room is an event.
static void check_serial_ring(void)
{
    static uint8_t text[8192];
    uint64_t limit = tsc_now() + smoke_info->tsc_hz * 2;

    memset(text, '.', sizeof(text));
    int64_t accepted = serial_write(0, text, sizeof(text));
    expect("accepted part", accepted > 1000 && accepted < (int64_t)sizeof(text), 1);
    expect("half sent", (int64_t)(event_wait(limit) & 1 << 6), 1 << 6);
    expect("room", serial_write(0, text, 1000), 1000);
}

static void check_containers(void)
{
    struct container_info info;
    int64_t child = container_split(HANDLE_SELF_CONTAINER, 1000, 0);

    expect("split", child >= HANDLE_FIRST_PASSED, 1);
    expect("info", container_info_get((uint32_t)child, &info), STATUS_OK);
    expect("quota", (int64_t)info.quota_pages, 1000);
    expect("used", (int64_t)info.used_pages, 0);
    int64_t inner = container_split((uint32_t)child, 500, 0);
    expect("inner", inner >= 0, 1);
    expect("too much", container_split((uint32_t)child, 501, 0), -STATUS_QUOTA);
    expect("nothing", container_split((uint32_t)child, 0, 0), -STATUS_INVALID);
    expect("too heavy", container_split((uint32_t)child, 1, 1001), -STATUS_INVALID);
    expect("revoke all", container_revoke((uint32_t)child), STATUS_OK);
    expect("inner is gone", container_info_get((uint32_t)inner, &info), STATUS_DEAD);
    expect("close inner", handle_close((uint32_t)inner), STATUS_OK);
}

static void check_sleep(void)
{
    uint64_t deadline = tsc_now() + smoke_info->tsc_hz / 100;

    expect("no events", (int64_t)event_wait(deadline), 0);
    expect("slept long enough", tsc_now() >= deadline, 1);
    expect("slept too long", tsc_now() > deadline + smoke_info->tsc_hz / 2, 0);
}

void test_calls(void)
{
    check_numbers();
    check_memory();
    check_pointers();
    check_handles();
    check_channel();
    check_exchange();
    check_containers();
    check_serial();
    check_serial_ring();
    check_sleep();
}

// -- threads --------------------------------------------------------------------------------------

static _Atomic uint64_t counted;
static _Atomic uint64_t spinning;
static uint8_t stacks[3][8192] ALIGNED(16);

static void waiting_thread(uint64_t argument)
{
    counted += event_wait(0) * argument;
    (void)thread_exit();
}

static void spinning_thread(uint64_t argument)
{
    while (spinning) {
        counted += argument;
    }
    (void)thread_exit();
}

static void wait_a_while(void)
{
    (void)event_wait(tsc_now() + smoke_info->tsc_hz / 50);
}

void test_threads(void)
{
    int64_t first = thread_create(waiting_thread, stacks[0] + 8184, 1);
    int64_t second = thread_create(waiting_thread, stacks[1] + 8184, 1000);

    expect("threads", first > 0 && second > first, 1);
    expect("bad entry", thread_create((void (*)(uint64_t))KERNEL_ADDRESS, stacks[2], 0),
           -STATUS_INVALID);
    expect("signal", event_signal((uint64_t)first, 3), STATUS_OK);
    expect("signal", event_signal((uint64_t)second, 5), STATUS_OK);
    expect("bit 63", event_signal((uint64_t)second, 1ull << 63), STATUS_INVALID);
    wait_a_while();
    expect("sum", (int64_t)counted, 5003);
    expect("signal a dead thread", event_signal((uint64_t)first, 1), STATUS_OK);

    spinning = 1;
    int64_t third = thread_create(spinning_thread, stacks[2] + 8184, 1);
    expect("thread", third > 0, 1);
    wait_a_while(); // the timer takes the processor back
    spinning = 0;
    wait_a_while();
    expect("it ran", counted > 5003, 1);
    expect("close", handle_close((uint32_t)first), STATUS_OK);
    expect("close", handle_close((uint32_t)second), STATUS_OK);
    expect("close", handle_close((uint32_t)third), STATUS_OK);
}
