// SPDX-License-Identifier: MIT
// Containers that come and go on all CPUs at once: in each a process with threads on several CPUs
// takes and gives memory, splits its container, sends messages and runs a guest, until its
// container is revoked at some moment. Everything must come back, to the page.
#include "smoke_smp.h"
#include "kernel/lib/address.h"
#include "kernel/lib/string.h"

#define STORM_PAGES   1600u
#define STORM_THREADS 3u
#define DRIVERS       4u // containers at a time

// -- in the container -----------------------------------------------------------------------------

static uint64_t children;

static void take_and_give(uint64_t *state)
{
    uint64_t bytes = (1 + smp_random(state) % 32) * PAGE_SIZE;
    int64_t address = memory_allocate(bytes);

    if (address > 0) {
        memset((void *)address, 0x5a, bytes);
        (void)!memory_free((uint64_t)address, bytes);
    }
}

static void split(uint64_t *state)
{
    int64_t child = container_split(HANDLE_SELF_CONTAINER, 1 + smp_random(state) % 8, 0);

    if (child > 0 && children++ % 16 != 0) {
        (void)!container_revoke((uint32_t)child);
    }
}

static void talk(uint64_t *state)
{
    int64_t channel = channel_create();

    if (channel > 0) {
        (void)!channel_send((uint32_t)channel, state, sizeof(*state));
        (void)!handle_close((uint32_t)channel);
    }
}

static void storm_thread(uint64_t seed)
{
    static void (*const actions[])(uint64_t *) = {take_and_give, take_and_give, split, talk};

    for (;;) {
        actions[smp_random(&seed) % ARRAY_COUNT(actions)](&seed);
        if (smp_random(&seed) % 4 == 0) { // an emulator has fewer processors than the machine
            (void)event_wait(tsc_now() + smp_random(&seed) % (smoke_info->tsc_hz / 1000));
        }
    }
}

int64_t role_storm(void)
{
    for (uint32_t i = 0; i < STORM_THREADS; i++) {
        if (thread_create(storm_thread, smp_stack_top(i), tsc_now() + i) < 0) {
            return 1;
        }
    }
    if (smoke_info->vm_support.lack == VM_LACKS_NOTHING) {
        (void)role_machine();
    }
    storm_thread(tsc_now());
    return 0;
}

// -- outside --------------------------------------------------------------------------------------

static _Atomic uint64_t drivers_done;
static _Atomic uint64_t problems;

static void check(bool right)
{
    if (!right) {
        atomic_fetch_add(&problems, 1);
    }
}

static void one_life(uint64_t *state)
{
    static const char role[] = "storm";
    int64_t container = container_split(HANDLE_SELF_CONTAINER, STORM_PAGES, 0);
    struct process_arguments arguments = {
        .module = smoke_module(),
        .container = (uint32_t)container,
        .arguments = user_address(role),
        .argument_bytes = sizeof(role),
        .cpu = THREAD_CPU(smp_random(state) % smp.cpus),
    };
    int64_t process = process_create(&arguments);

    check(container > 0 && process > 0);
    (void)event_wait(tsc_now() + smp_random(state) % (smoke_info->tsc_hz / 100));
    check(container_revoke((uint32_t)container) == STATUS_OK);
    check(handle_close((uint32_t)process) == STATUS_OK);
}

static void driver(uint64_t index)
{
    uint64_t state = smp.seed + index;

    for (uint32_t i = 0; i < smp.lives; i++) {
        one_life(&state);
    }
    atomic_fetch_add(&drivers_done, 1);
    (void)thread_exit();
}

void test_smp_containers(void)
{
    uint32_t drivers = smp.cpus < DRIVERS ? smp.cpus : DRIVERS;

    for (uint32_t i = 0; i < drivers; i++) {
        expect("close", handle_close(smp_thread(i * smp.cpus / drivers, i, driver, i)), STATUS_OK);
    }
    smp_wait_for("drivers", &drivers_done, drivers);
    expect("what went wrong with containers", (int64_t)problems, 0);
}
