// SPDX-License-Identifier: MIT
// The event log (event_log.h): a ring for each CPU, written by that CPU alone with interrupts off,
// and the debug port, which one CPU at a time sends a ring through. The port's lock is taken last
// of all and is not itself in the log.
#include "kernel/core/event_log.h"
#include <stdatomic.h>
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/page_allocator.h"
#include "kernel/thread/thread.h"

#define DEBUG_PORT    0xe9 // of Bochs and QEMU
#define RING_ENTRIES  64u  // a power of two
#define ENTRY_MAXIMUM 64u  // bytes on the way out: 5 words of 11 each, and two short ones
#define PATIENCE      10000000u

struct event_ring {
    _Atomic uint64_t written; // by its CPU: entries since the log began
    _Atomic uint64_t sent;    // by who holds the port
    struct event_entry entries[RING_ENTRIES];
};
static_assert(sizeof(struct event_ring) <= PAGE_SIZE, "a ring is one page");
static_assert(RING_ENTRIES * ENTRY_MAXIMUM <= 5000, "adler_32 takes them");

bool event_log_on;
static struct event_ring *rings[CPU_MAXIMUM];
static _Atomic uint64_t next_order;
static _Atomic bool port_taken;
static uint32_t frames; // guarded by port_taken

// False: a CPU that was stopped holds it for ever.
static bool take_port(void)
{
    uint32_t patience = PATIENCE;

    // Acquire: pairs with the release in give_port.
    while (atomic_exchange_explicit(&port_taken, true, memory_order_acquire) && --patience) {
        __builtin_ia32_pause();
    }
    return patience != 0;
}

static void give_port(void)
{
    atomic_store_explicit(&port_taken, false, memory_order_release);
}

// -- the way out (kernel/abi/event_log.h) ---------------------------------------------------------

static uint8_t *put(uint8_t *out, uint64_t number)
{
    for (; number > 0x3f; number >>= 6) {
        *out++ = (uint8_t)(0xc0 | number);
    }
    *out = (uint8_t)(0x80 | number);
    return out + 1;
}

static uint8_t *put_entry(uint8_t *out, const struct event_entry *entry,
                          const struct event_entry *before)
{
    uint64_t object = entry->object - before->object;

    out = put(out, entry->order - before->order);
    out = put(out, entry->tsc - before->tsc);
    out = put(out, entry->thread);
    out = put(out, entry->kind);
    out = put(out, (object << 1) ^ (0 - (object >> 63)));
    out = put(out, entry->value);
    return put(out, entry->state);
}

// Of at most 5000 bytes, so that nothing overflows before the remainder.
static uint32_t adler_32(const uint8_t *bytes, const uint8_t *end)
{
    uint32_t low = 1;
    uint32_t high = 0;

    while (bytes != end) {
        low += *bytes++;
        high += low;
    }
    return high % 65521 << 16 | low % 65521;
}

// Sends what a ring holds. The port is the caller's.
static void send(uint32_t cpu)
{
    static const struct event_entry first;
    static uint8_t head[40] = EVENT_FRAME_MARK;
    static uint8_t entries[RING_ENTRIES * ENTRY_MAXIMUM];
    struct event_ring *ring = rings[cpu];
    uint64_t sent = atomic_load_explicit(&ring->sent, memory_order_relaxed);
    // Acquire: pairs with the release in event_log_write.
    uint64_t count = atomic_load_explicit(&ring->written, memory_order_acquire) - sent;
    const struct event_entry *before = &first;
    uint8_t *end = entries;

    for (uint64_t i = 0; i < count; i++) {
        const struct event_entry *entry = &ring->entries[(sent + i) % RING_ENTRIES];

        end = put_entry(end, entry, before);
        before = entry;
    }
    uint8_t *end_of_head = put(put(head + 4, cpu), frames++);
    end_of_head = put(put(end_of_head, (uint64_t)(end - entries)), count);
    end_of_head = put(end_of_head, adler_32(entries, end));
    port_write_string(DEBUG_PORT, head, (uint64_t)(end_of_head - head));
    port_write_string(DEBUG_PORT, entries, (uint64_t)(end - entries));
    atomic_store_explicit(&ring->sent, sent + count, memory_order_release);
}

void debug_port_write(const uint8_t *bytes, size_t count)
{
    if (take_port()) {
        port_write_string(DEBUG_PORT, bytes, count);
        give_port();
    }
}

void event_log_write(enum event_kind kind, uint64_t object, uint64_t value, uint64_t state)
{
    const struct kernel_stack_top *top = kernel_stack_top();
    uint32_t cpu = top->cpu->id;
    struct event_ring *ring = rings[cpu];
    uint64_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);

    ring->entries[written % RING_ENTRIES] = (struct event_entry){
        .order = atomic_fetch_add_explicit(&next_order, 1, memory_order_relaxed),
        .tsc = tsc_read(),
        .thread = top->thread ? top->thread->number : 0,
        .cpu = (uint16_t)cpu,
        .kind = (uint16_t)kind,
        .object = object,
        .value = value,
        .state = state,
    };
    atomic_store_explicit(&ring->written, ++written, memory_order_release);
    if (written - atomic_load_explicit(&ring->sent, memory_order_acquire) >= RING_ENTRIES / 2 &&
        take_port()) {
        send(cpu);
        give_port();
    }
}

void event_log_drain(void)
{
    if (event_log_on && take_port()) {
        for (uint32_t cpu = 0; cpu < CPU_MAXIMUM; cpu++) {
            send(cpu);
        }
        give_port();
    }
}

void event_log_start(void)
{
    hpa_t page;

    if (!command_line_has("events")) {
        return;
    }
    for (uint32_t cpu = 0; cpu < CPU_MAXIMUM && command_line_has("emulator"); cpu++) {
        if (page_allocate(&kernel_pages, PAGE_OWNER_KERNEL, PAGE_SIZE, PAGE_ZEROED, &page) ==
            STATUS_OK) {
            rings[cpu] = memory_pointer(page);
        }
    }
    event_log_on = rings[CPU_MAXIMUM - 1] != NULL;
    if (!event_log_on) {
        log_line(LOG_WARNING, "no event log: it needs an emulator's debug port, and memory");
    }
    event_log(EVENT_BOOT, 0, 0, 0);
}

// Entries that are in their rings, sent or not.
static uint64_t all_written(void)
{
    uint64_t sum = 0;

    for (uint32_t cpu = 0; cpu < CPU_MAXIMUM; cpu++) {
        sum += atomic_load_explicit(&rings[cpu]->written, memory_order_acquire);
    }
    return sum;
}

void event_log_end(uint32_t status)
{
    uint32_t patience = PATIENCE / CPU_MAXIMUM;

    if (!event_log_on) {
        return;
    }
    event_log_write(EVENT_END, 0, status, 0);
    while (all_written() < atomic_load_explicit(&next_order, memory_order_relaxed) && --patience) {
        __builtin_ia32_pause();
    }
    event_log_drain();
}
