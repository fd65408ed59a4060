// SPDX-License-Identifier: MIT
// In-kernel checks (kernel/core/selftest.h): what host tests cannot show, with real threads, page
// tables, time and interrupts. One kernel thread runs them in order.
#include "kernel/core/selftest.h"
#include "arch/x86/cpu/registers.h"
#include "drivers/time_base.h"
#include "kernel/core/log.h"
#include "kernel/core/mode.h"
#include "kernel/core/panic.h"
#include "kernel/core/processors.h"
#include "kernel/ipc/channel.h"
#include "kernel/lib/string.h"
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/user_copy.h"
#include "kernel/thread/thread.h"
#include "test/emulator/kernel_bench.h"

static const char *test_name;
static unsigned failures; // of the running test
static unsigned failed_tests;

static void expect(const char *what, uint64_t got, uint64_t want)
{
    if (got != want) {
        failures++;
        log_line(LOG_MACHINE, "FAIL %s: %s got 0x%lx, want 0x%lx", test_name, what, got, want);
    }
}

// -- memory ---------------------------------------------------------------------------------------

// Spaces of tests are not on a stack: one address is one lock to the log of events.
static void test_address_space(void)
{
    static struct address_space space;
    struct user_mapping mapping;
    uint64_t address = 0;
    uint64_t word = 0x1122334455667788;
    uint64_t read = 0;
    uint64_t bytes = LARGE_PAGE_SIZE + PAGE_SIZE;

    expect("init", address_space_init(&space, CONTAINER_ROOT), STATUS_OK);
    expect("allocate", address_space_allocate(&space, bytes, USER_WRITE, &address), STATUS_OK);
    expect("translate", address_space_translate(&space, address, &mapping), STATUS_OK);
    expect("2 MiB page", mapping.page_size, LARGE_PAGE_SIZE);
    expect("write across pages",
           copy_to_user(&space, address + LARGE_PAGE_SIZE - 4, &word, sizeof(word)), STATUS_OK);
    expect("read across pages",
           copy_from_user(&space, &read, address + LARGE_PAGE_SIZE - 4, sizeof(read)), STATUS_OK);
    expect("what was written", read, word);
    expect("beyond the end", copy_from_user(&space, &read, address + bytes - 4, sizeof(read)),
           STATUS_FAULT);
    expect("kernel address", copy_from_user(&space, &read, DIRECT_MAP_BASE, sizeof(read)),
           STATUS_FAULT);
    expect("pin", address_space_pin(&space, address, PAGE_SIZE, true), STATUS_OK);
    expect("free while pinned", address_space_free(&space, address, bytes, REGION_MEMORY),
           STATUS_BUSY);
    address_space_unpin(&space, address);
    expect("free", address_space_free(&space, address, bytes, REGION_MEMORY), STATUS_OK);
    expect("freed", address_space_translate(&space, address, &mapping), STATUS_FAULT);
    address_space_destroy(&space);
}

static void test_quota(void)
{
    static struct address_space space;
    uint64_t address = 0;
    struct container_child made = container_split(&kernel_containers, CONTAINER_ROOT, 600);
    uint32_t child = made.id;

    expect("split", made.status, STATUS_OK);
    expect("init", address_space_init(&space, child), STATUS_OK);
    expect("too much", address_space_allocate(&space, 2 * LARGE_PAGE_SIZE, USER_WRITE, &address),
           STATUS_QUOTA);
    expect("enough", address_space_allocate(&space, LARGE_PAGE_SIZE, USER_WRITE, &address),
           STATUS_OK);
    expect("revoke in use", container_revoke(&kernel_containers, child), STATUS_BUSY);
    address_space_destroy(&space);
    expect("revoke", container_revoke(&kernel_containers, child), STATUS_OK);
}

// -- threads --------------------------------------------------------------------------------------

struct relay { // two threads that take turns
    struct lock lock;
    struct condition changed;
    uint32_t turn;
    uint32_t rounds;
    uint32_t running;
};

static void relay_thread(struct relay *relay, uint32_t mine)
{
    lock_acquire(&relay->lock);
    for (uint32_t i = 0; i < 1000; i++) {
        while (relay->turn != mine) {
            (void)condition_wait(&relay->changed, &relay->lock);
        }
        relay->turn = !mine;
        relay->rounds++;
        condition_wake_all(&relay->changed);
    }
    relay->running--;
    lock_release(&relay->lock);
}

static void relay_first(void *relay)
{
    relay_thread(relay, 0);
}

static void relay_second(void *relay)
{
    relay_thread(relay, 1);
}

static void start_on(uint32_t cpu, void (*entry)(void *), void *argument)
{
    struct thread *thread;
    enum status status = thread_create(NULL, CONTAINER_ROOT, 0, cpu, entry, argument, &thread);

    expect("thread_create", status, STATUS_OK);
    if (status == STATUS_OK) {
        thread_wake(thread);
        object_release(&thread->object);
    }
}

static void start(void (*entry)(void *), void *argument)
{
    start_on(this_cpu()->id, entry, argument);
}

static void test_conditions(void)
{
    static struct relay relay;

    relay = (struct relay){.lock = LOCK_INITIAL(LOCK_CHANNEL), .running = 2};
    start(relay_first, &relay);
    start(relay_second, &relay);
    for (uint32_t i = 0; i < 100000 && relay.running; i++) {
        thread_yield();
    }
    expect("threads left", relay.running, 0);
    expect("rounds", relay.rounds, 2000);
}

static void sleeper_thread(void *finished)
{
    uint64_t deadline = tsc_read() + time_base_microseconds(5000);

    expect("no event", thread_sleep_until_event(deadline), 0);
    expect("woke early", tsc_read() < deadline, 0);
    *(uint32_t *)finished += 1;
}

static void test_deadlines(void)
{
    static uint32_t finished;
    uint64_t limit = tsc_read() + time_base_microseconds(5000000);

    finished = 0;
    for (uint32_t i = 0; i < 20; i++) {
        start(sleeper_thread, &finished);
    }
    while (finished < 20 && tsc_read() < limit) {
        (void)thread_sleep_until_event(tsc_read() + time_base_microseconds(1000));
    }
    expect("sleepers that woke", finished, 20);
}

static void signal_thread(void *thread)
{
    thread_signal(thread, 1u << 5);
}

static void test_events(void)
{
    start(signal_thread, current_thread());
    expect("bits", thread_sleep_until_event(DEADLINE_NONE), 1u << 5);
    thread_signal(current_thread(), 3);
    expect("pending bits", thread_sleep_until_event(DEADLINE_NONE), 3);
    expect("nothing", thread_take_events(), 0);
}

// -- channels -------------------------------------------------------------------------------------

struct conversation {
    struct address_space space;
    struct channel *channel;
    uint64_t buffer; // user address of two pages
    uint32_t senders;
};

#define MESSAGES 200ull

static void sender_thread(void *argument)
{
    struct conversation *talk = argument;

    for (uint64_t i = 0; i < MESSAGES; i++) {
        expect("send", channel_send(talk->channel, &talk->space, talk->buffer, 1 + i, true),
               STATUS_OK);
    }
    talk->senders--;
}

static void check_refusals(struct conversation *talk)
{
    uint64_t count = 0;

    expect("receive from empty",
           channel_receive(talk->channel, &talk->space, talk->buffer, 4096, &count), STATUS_EMPTY);
    expect("send nothing", channel_send(talk->channel, &talk->space, talk->buffer, 0, false),
           STATUS_INVALID);
    expect("send too much", channel_send(talk->channel, &talk->space, talk->buffer, 4097, false),
           STATUS_INVALID);
    expect("send bad memory", channel_send(talk->channel, &talk->space, 0, 8, false), STATUS_FAULT);
    expect("send", channel_send(talk->channel, &talk->space, talk->buffer, 100, false), STATUS_OK);
    expect("send again", channel_send(talk->channel, &talk->space, talk->buffer, 100, false),
           STATUS_BUSY);
    expect("small buffer", channel_receive(talk->channel, &talk->space, talk->buffer, 99, &count),
           STATUS_TOO_SMALL);
    expect("receive", channel_receive(talk->channel, &talk->space, talk->buffer, 100, &count),
           STATUS_OK);
    expect("kept whole", count, 100);
}

static void drain(struct conversation *talk, uint32_t *received, uint64_t *bytes)
{
    uint64_t limit = tsc_read() + time_base_microseconds(20000000);
    uint64_t count = 0;

    while (*received < 3 * MESSAGES && tsc_read() < limit) {
        uint64_t to = talk->buffer + PAGE_SIZE;

        if (channel_receive(talk->channel, &talk->space, to, 4096, &count) == STATUS_OK) {
            *received += 1;
            *bytes += count;
        } else {
            (void)thread_sleep_until_event(limit);
        }
    }
}

static void test_channels(void)
{
    static struct conversation talk;
    uint32_t received = 0;
    uint64_t bytes = 0;

    expect("space", address_space_init(&talk.space, CONTAINER_ROOT), STATUS_OK);
    expect("buffer", address_space_allocate(&talk.space, 2 * PAGE_SIZE, USER_WRITE, &talk.buffer),
           STATUS_OK);
    talk.channel = channel_create(CONTAINER_ROOT);
    talk.senders = 3;
    if (talk.channel) {
        check_refusals(&talk);
        channel_bind(talk.channel, 1);
        for (uint32_t i = 0; i < 3; i++) {
            start(sender_thread, &talk);
        }
        drain(&talk, &received, &bytes);
        channel_unbind(talk.channel, NULL);
        thread_yield();
        expect("senders left", talk.senders, 0);
        object_release(&talk.channel->object);
    }
    expect("messages", received, 3 * MESSAGES);
    expect("bytes", bytes, 3 * (MESSAGES * (MESSAGES + 1) / 2));
    address_space_destroy(&talk.space);
}

// -- what a checked build must stop ---------------------------------------------------------------

static struct lock outer = LOCK_INITIAL(LOCK_PROCESS);
static struct lock inner = LOCK_INITIAL(LOCK_CHANNEL);

static void break_order(void)
{
    lock_acquire(&inner);
    lock_acquire(&outer);
}

static void break_rank(void)
{
    static struct lock never_initialized;

    lock_acquire(&never_initialized);
}

static void break_release(void)
{
    lock_release(&inner);
}

static void break_sleep(void)
{
    lock_acquire(&outer);
    (void)thread_sleep_until_event(tsc_read() + 1000000);
}

static void break_mode(void)
{
    hostin(this_cpu());
}

static void break_user(void)
{
    proc_start_user(this_cpu());
}

// Everybody but the boot CPU and the last one spins, with interrupts off as always in the kernel.
static void spin(void *argument)
{
    _Atomic uint32_t *spinning = argument;

    atomic_fetch_add(spinning, 1);
    for (;;) {
        cpu_relax();
    }
}

static void break_panic(void)
{
    static _Atomic uint32_t spinning;
    uint32_t spinners = processor_count() - 2;

    for (uint32_t cpu = 1; cpu <= spinners; cpu++) {
        start_on(cpu, spin, &spinning);
    }
    while (atomic_load(&spinning) < spinners) {
        cpu_relax();
    }
    panic("on purpose, at tick 0x%lx", tsc_read());
}

static void panic_at_once(void *argument)
{
    _Atomic uint32_t *ready = argument;

    atomic_fetch_add(ready, 1);
    while (atomic_load(ready) < processor_count()) {
        cpu_relax();
    }
    panic("on purpose, on CPU %u", this_cpu()->id);
}

static void break_panics(void)
{
    static _Atomic uint32_t ready;

    for (uint32_t cpu = 1; cpu < processor_count(); cpu++) {
        start_on(cpu, panic_at_once, &ready);
    }
    panic_at_once(&ready);
}

static const struct {
    const char *word;
    void (*run)(void);
} mistakes[] = {
    {"break=panic", break_panic}, {"break=panics", break_panics},   {"break=order", break_order},
    {"break=rank", break_rank},   {"break=release", break_release}, {"break=sleep", break_sleep},
    {"break=mode", break_mode},   {"break=user", break_user},
};

// -- all of them ----------------------------------------------------------------------------------

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    {"address_space", test_address_space}, {"quota", test_quota},   {"conditions", test_conditions},
    {"deadlines", test_deadlines},         {"events", test_events}, {"channels", test_channels},
};

static void run_tests(void *argument)
{
    (void)argument;
    if (command_line_has("bench")) {
        kernel_bench();
        run_end(0);
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(mistakes); i++) {
        if (command_line_has(mistakes[i].word)) {
            mistakes[i].run();
            run_end(0); // nobody noticed
        }
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(tests); i++) {
        uint64_t free_before = page_free_count(&kernel_pages);

        test_name = tests[i].name;
        failures = 0;
        tests[i].run();
        thread_yield(); // lets ended threads be freed
        expect("free pages", page_free_count(&kernel_pages), free_before);
        failed_tests += failures != 0;
        if (failures == 0) {
            log_line(LOG_MACHINE, "PASS %s", test_name);
        }
    }
    lock_report();
    run_end(failed_tests ? 1 : 0);
}

void selftest_start(void)
{
    start(run_tests, NULL);
}
