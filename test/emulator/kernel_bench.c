// SPDX-License-Identifier: MIT
// What the kernel's primitives cost (kernel_bench.h): ticks of one operation, the loop around it
// taken off, alone and among many objects of its kind.
#include "test/emulator/kernel_bench.h"
#include "arch/x86/cpu/registers.h"
#include "kernel/core/log.h"
#include "kernel/ipc/channel.h"
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/thread/scheduler.h"

#define ROUNDS  1000u
#define MAXIMUM 10000u

// Ticks of one operation among ROUNDS, each twice, less ROUNDS of it once: the loop falls out.
#define TICKS_OF(operation)                                                                        \
    ({                                                                                             \
        uint64_t twice_ = tsc_read();                                                              \
        for (uint32_t round_ = 0; round_ < ROUNDS; round_++) {                                     \
            operation;                                                                             \
            operation;                                                                             \
        }                                                                                          \
        uint64_t once_ = tsc_read();                                                               \
        for (uint32_t round_ = 0; round_ < ROUNDS; round_++) {                                     \
            operation;                                                                             \
        }                                                                                          \
        uint64_t end_ = tsc_read();                                                                \
        (2 * once_ - twice_ - end_ + ROUNDS / 2) / ROUNDS;                                         \
    })

static void print(const char *name, uint64_t ticks)
{
    log_line(LOG_MACHINE, "bench %s %lu", name, ticks);
}

static void print_point(const char *name, uint32_t count, uint64_t ticks)
{
    log_line(LOG_MACHINE, "curve %s %u %lu", name, count, ticks);
}

// -- locks and pages ------------------------------------------------------------------------------

static struct lock lock = LOCK_INITIAL(LOCK_CHANNEL);

static void bench_lock(void)
{
    print("lock_unlock", TICKS_OF({
              lock_acquire(&lock);
              lock_release(&lock);
          }));
}

static void take_page(enum page_fill fill)
{
    hpa_t page = hpa(0);

    if (page_allocate(&kernel_pages, CONTAINER_ROOT, PAGE_SIZE, fill, &page) == STATUS_OK) {
        (void)!page_free(&kernel_pages, CONTAINER_ROOT, page, PAGE_SIZE);
    }
}

static void bench_pages(void)
{
    print("page_allocate_free", TICKS_OF(take_page(PAGE_CONTENTS_KEPT)));
    print("page_allocate_free_zeroed", TICKS_OF(take_page(PAGE_ZEROED)));
}

// -- threads --------------------------------------------------------------------------------------

static void *objects[MAXIMUM]; // threads, channels, or ids of containers
static bool stop;

static struct thread *start(void (*entry)(void *))
{
    struct thread *thread = NULL;

    if (thread_create(NULL, CONTAINER_ROOT, 0, this_cpu()->id, entry, NULL, &thread) == STATUS_OK) {
        thread_wake(thread);
        object_release(&thread->object);
    }
    return thread;
}

static void yield_thread(void *unused)
{
    (void)unused;
    while (!stop) {
        thread_yield();
    }
}

static void sleep_thread(void *unused)
{
    (void)unused;
    while (!stop) {
        (void)thread_sleep_until_event(DEADLINE_NONE);
    }
}

static void bench_switch(void)
{
    stop = false;
    (void)start(yield_thread);
    thread_yield();
    print("thread_switch", TICKS_OF(thread_yield()) / 2); // there and back
    stop = true;
    thread_yield();
    thread_yield();
}

// A signal to one of many sleeping threads, the switch to it and its way back to sleep.
static void wake_one(uint32_t number)
{
    thread_signal(objects[number], 1);
    thread_yield();
}

static void bench_threads(uint32_t count)
{
    uint32_t made = 0;

    stop = false;
    while (made < count && (objects[made] = start(sleep_thread)) != NULL) {
        thread_yield();
        made++;
    }
    if (made == count) {
        print_point("thread_wake_run_sleep", count, TICKS_OF(wake_one(made - 1)));
    }
    stop = true;
    for (uint32_t i = 0; i < made; i++) {
        wake_one(i);
        thread_yield();
    }
}

// -- channels and containers ----------------------------------------------------------------------

static struct address_space space;
static uint64_t buffer;

static void pass_message(struct channel *channel)
{
    uint64_t count;

    (void)!channel_send(channel, &space, buffer, 1, false);
    (void)!channel_receive(channel, &space, buffer, PAGE_SIZE, &count);
}

static void bench_channels(uint32_t count)
{
    uint32_t made = 0;

    while (made < count && (objects[made] = channel_create(CONTAINER_ROOT)) != NULL) {
        made++;
    }
    if (made == count) {
        print_point("channel_send_receive", count, TICKS_OF(pass_message(objects[made - 1])));
    }
    for (uint32_t i = 0; i < made; i++) {
        object_release(objects[i]);
    }
}

static void charge_page(uint32_t container)
{
    if (container_alloc(&kernel_containers, container, 1) == STATUS_OK) {
        (void)!container_free(&kernel_containers, container, 1);
    }
}

static void split_and_revoke(void)
{
    struct container_child child = container_split(&kernel_containers, CONTAINER_ROOT, 1);

    if (child.status == STATUS_OK) {
        (void)!container_revoke(&kernel_containers, child.id);
    }
}

static void bench_containers(uint32_t count)
{
    struct container_child last = {STATUS_OK, CONTAINER_ROOT};
    uint32_t made = 0;

    while (made < count && last.status == STATUS_OK) {
        last = container_split(&kernel_containers, CONTAINER_ROOT, 2);
        objects[made] = (void *)(uintptr_t)last.id;
        made += last.status == STATUS_OK;
    }
    if (made == count) {
        print_point("container_charge_free", count, TICKS_OF(charge_page(last.id)));
        print_point("container_split_revoke", count, TICKS_OF(split_and_revoke()));
    }
    while (made > 0) {
        (void)!container_revoke(&kernel_containers, (uint32_t)(uintptr_t)objects[--made]);
    }
}

// -- all of them ----------------------------------------------------------------------------------

void kernel_bench(void)
{
    bench_lock();
    bench_pages();
    bench_switch();
    if (address_space_init(&space, CONTAINER_ROOT) != STATUS_OK ||
        address_space_allocate(&space, PAGE_SIZE, USER_WRITE, &buffer) != STATUS_OK) {
        return;
    }
    for (uint32_t count = 10; count <= MAXIMUM; count *= 10) {
        bench_threads(count);
        bench_channels(count);
        bench_containers(count);
    }
}
