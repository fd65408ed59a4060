// SPDX-License-Identifier: MIT
// Wake-ups between threads on all CPUs, and memory that goes away while all CPUs read it.
#include "test/emulator/user_smoke/smoke_smp.h"
#include "kernel/lib/address.h"

#define STACK_BYTES 8192u
#define STACKS      (2 * SMP_CPUS)
#define TOKENS      24u // event bits that go round
#define POISON      0xdeadbeefdeadbeefull
#define STOP        UINT64_MAX

struct smp_options smp;
static uint8_t stacks[STACKS][STACK_BYTES] ALIGNED(16);

void *smp_stack_top(uint32_t number)
{
    return stacks[number] + STACK_BYTES - 8;
}

uint32_t smp_thread(uint32_t cpu, uint32_t number, void (*entry)(uint64_t), uint64_t argument)
{
    int64_t thread = thread_create_on(THREAD_CPU(cpu), entry, smp_stack_top(number), argument);

    expect("thread", thread > 0, 1);
    return (uint32_t)thread;
}

void smp_wait_for(const char *what, const _Atomic uint64_t *counter, uint64_t value)
{
    uint64_t limit = tsc_now() + smoke_info->tsc_hz * 60;

    while (atomic_load(counter) != value && tsc_now() < limit) {
        (void)event_wait(tsc_now() + smoke_info->tsc_hz / 500);
    }
    expect(what, (int64_t)atomic_load(counter), (int64_t)value);
}

uint64_t smp_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

// -- wake-ups -------------------------------------------------------------------------------------

// TOKENS event bits go round a ring of threads, one on each CPU. A wake-up that is lost stops the
// tokens; one that comes twice makes more of them.
static _Atomic uint64_t ring_started, ring_done;
static uint32_t ring_thread[SMP_CPUS];
static uint64_t ring_passed[SMP_CPUS][TOKENS];
static uint64_t ring_total[SMP_CPUS];

// Counts the tokens; returns those that go on: the last thread keeps each after its last round.
static uint64_t count_tokens(uint64_t index, uint64_t bits)
{
    for (uint32_t token = 0; token < TOKENS; token++) {
        if ((bits >> token & 1) != 0) {
            ring_total[index]++;
            if (++ring_passed[index][token] >= smp.rounds && index + 1 == smp.cpus) {
                bits &= ~(1ull << token);
            }
        }
    }
    return bits;
}

static void ring_member(uint64_t index)
{
    atomic_fetch_add(&ring_started, 1);
    while (ring_total[index] < smp.rounds * TOKENS) {
        (void)!event_signal(ring_thread[(index + 1) % smp.cpus],
                            count_tokens(index, event_wait(0)));
    }
    atomic_fetch_add(&ring_done, 1);
    (void)event_wait(0); // a token too many would wake it
    atomic_fetch_add(&ring_done, 1);
    (void)thread_exit();
}

static void check_member(uint32_t index)
{
    for (uint32_t token = 0; token < TOKENS; token++) {
        expect("token passed", (int64_t)ring_passed[index][token], (int64_t)smp.rounds);
    }
    expect("last signal", event_signal(ring_thread[index], 1), STATUS_OK);
}

void test_smp_wakes(void)
{
    for (uint32_t i = 0; i < smp.cpus; i++) {
        ring_thread[i] = smp_thread(i, i, ring_member, i);
    }
    smp_wait_for("threads of the ring", &ring_started, smp.cpus);
    for (uint32_t token = 0; token < TOKENS; token++) {
        expect("token", event_signal(ring_thread[0], 1ull << token), STATUS_OK);
    }
    smp_wait_for("ends of the ring", &ring_done, smp.cpus);
    for (uint32_t i = 0; i < smp.cpus; i++) {
        check_member(i);
    }
    smp_wait_for("threads woken at the end", &ring_done, 2ull * smp.cpus);
    for (uint32_t i = 0; i < smp.cpus; i++) {
        expect("close", handle_close(ring_thread[i]), STATUS_OK);
    }
}

// -- shootdown ------------------------------------------------------------------------------------

// A page at one address, read all the time on all CPUs: freed, its frame used and overwritten
// elsewhere, and another frame put at its address. A reader that still has the old translation
// reads POISON. `step` odd: the page holds that number; even: it must not be touched.
static _Atomic uint64_t step;
static _Atomic uint64_t seen[SMP_CPUS];
static _Atomic uint64_t wrong_reads;
static _Atomic uint64_t readers_done;
static const volatile uint64_t *shared_page;

static void reader(uint64_t index)
{
    uint64_t now;

    while ((now = atomic_load(&step)) != STOP) {
        if (now % 2 == 1 && *shared_page != now) {
            atomic_fetch_add(&wrong_reads, 1);
        }
        atomic_store(&seen[index], now);
        __asm__ volatile("pause");
    }
    atomic_fetch_add(&readers_done, 1);
    (void)thread_exit();
}

static void take_step(uint64_t now)
{
    uint64_t limit = tsc_now() + smoke_info->tsc_hz * 20;

    atomic_store(&step, now);
    for (uint32_t i = 1; i < smp.cpus; i++) {
        while (atomic_load(&seen[i]) != now && tsc_now() < limit) {
            __asm__ volatile("pause");
        }
    }
}

// Frees the page, uses its frame for something else, and makes a new page at its address.
static void replace_page(uint64_t page, uint64_t next)
{
    expect("free", memory_free(page, PAGE_SIZE), STATUS_OK);
    uint64_t *other = (uint64_t *)memory_allocate(2 * PAGE_SIZE); // does not fit into the gap
    other[0] = POISON;
    other[PAGE_SIZE / sizeof(*other)] = POISON;
    uint64_t again = (uint64_t)memory_allocate(PAGE_SIZE);
    expect("the same address", (int64_t)again, (int64_t)page);
    expect("zeroed", (int64_t) * (uint64_t *)again, 0);
    *(uint64_t *)again = next;
    expect("free", memory_free((uint64_t)other, 2 * PAGE_SIZE), STATUS_OK);
}

void test_smp_shootdown(void)
{
    uint64_t page = (uint64_t)memory_allocate(PAGE_SIZE);
    uint64_t next = (uint64_t)memory_allocate(PAGE_SIZE); // bounds the gap that `page` leaves

    shared_page = (const volatile uint64_t *)page;
    for (uint32_t i = 1; i < smp.cpus; i++) {
        expect("close", handle_close(smp_thread(i, i, reader, i)), STATUS_OK);
    }
    *(uint64_t *)page = 1;
    for (uint64_t now = 1; now < 2 * smp.rounds; now += 2) {
        take_step(now);
        take_step(now + 1);
        replace_page(page, now + 2);
    }
    atomic_store(&step, STOP);
    smp_wait_for("readers", &readers_done, smp.cpus - 1);
    expect("reads of a frame that was taken away", (int64_t)wrong_reads, 0);
    expect("free", memory_free(page, PAGE_SIZE), STATUS_OK);
    expect("free", memory_free(next, PAGE_SIZE), STATUS_OK);
}
