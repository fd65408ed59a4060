// SPDX-License-Identifier: MIT
// The run loop of processors with local APICs, one thread each, and what they do to each other: the
// lock, kicks, parking while the VM is paused. The boot processor's thread also looks after device
// timers and the console; the others make it look when something is due earlier than it knows.
#include "vmm/monitor/smp.h"

#include "kernel/lib/string.h"
#include "vmm/monitor/event.h"
#include "vmm/monitor/observing.h"
#include "vmm/monitor/run.h"
#include "vmm/runtime/program.h"
#include "vmm/runtime/system_call.h"

#define STACK_BYTES (64u << 10)

// -- the lock -------------------------------------------------------------------------------------

// Acquire pairs with the store in unlock.
static inline bool try_lock(struct smp *smp)
{
    uint32_t nobody = 0;

    return atomic_compare_exchange_strong_explicit(&smp->held, &nobody, 1, memory_order_seq_cst,
                                                   memory_order_relaxed);
}

// The waiter's bit is set before it tries again, and unlock reads the bits after giving the lock
// up, both sequentially consistent: one of the two sees the other.
static void wait_for_lock(struct virtual_cpu *cpu)
{
    struct smp *smp = &cpu->monitor->smp;
    uint32_t bit = 1u << cpu->index;

    for (;;) {
        atomic_fetch_or_explicit(&smp->waiters, bit, memory_order_seq_cst);
        if (try_lock(smp)) {
            atomic_fetch_and_explicit(&smp->waiters, ~bit, memory_order_relaxed);
            return;
        }
        cpu->deferred_events |= event_wait(0);
    }
}

static inline void lock(struct virtual_cpu *cpu)
{
    if (UNLIKELY(!try_lock(&cpu->monitor->smp))) {
        wait_for_lock(cpu);
    }
}

static void signal_processor(struct monitor *monitor, uint32_t index, uint32_t bit)
{
    // It can fail for a thread only that has ended, and then so does the process.
    (void)!event_signal(monitor->cpu[index].thread, 1ull << bit);
}

static void wake_waiter(struct monitor *monitor, uint32_t waiters)
{
    uint32_t index = (uint32_t)__builtin_ctz(waiters);

    atomic_fetch_and_explicit(&monitor->smp.waiters, ~(1u << index), memory_order_relaxed);
    signal_processor(monitor, index, SMP_LOCK_BIT);
}

static inline void unlock(struct monitor *monitor)
{
    struct smp *smp = &monitor->smp;
    uint32_t waiters;

    atomic_store_explicit(&smp->held, 0, memory_order_seq_cst);
    waiters = atomic_load_explicit(&smp->waiters, memory_order_seq_cst);
    if (UNLIKELY(waiters != 0)) {
        wake_waiter(monitor, waiters);
    }
}

// -- pauses ---------------------------------------------------------------------------------------

static void park(struct virtual_cpu *cpu)
{
    struct monitor *monitor = cpu->monitor;

    cpu->parked = true;
    unlock(monitor);
    cpu->deferred_events |= event_wait(0);
    lock(cpu);
    cpu->parked = false;
}

static void kick_others(const struct virtual_cpu *cpu)
{
    struct monitor *monitor = cpu->monitor;

    for (uint32_t i = 0; i < monitor->platform.processors; i++) {
        if (i != cpu->index) {
            signal_processor(monitor, i, SMP_KICK_BIT);
        }
    }
}

// All look at `pausing` and `skipped` before they run on.
static void call_for_standing_by(struct monitor *monitor)
{
    for (uint32_t i = 0; i < monitor->platform.processors; i++) {
        monitor->cpu[i].stands_by = true;
    }
}

static bool others_are_parked(const struct virtual_cpu *cpu)
{
    const struct monitor *monitor = cpu->monitor;

    for (uint32_t i = 0; i < monitor->platform.processors; i++) {
        if (i != cpu->index && !monitor->cpu[i].parked) {
            return false;
        }
    }
    return true;
}

// Whoever else ends the VM comes first.
static void give_way(struct virtual_cpu *cpu)
{
    const struct smp *smp = &cpu->monitor->smp;

    while (smp->ending && smp->ender != cpu->index) {
        park(cpu);
    }
}

void smp_stop_others(struct virtual_cpu *cpu)
{
    if (cpu->monitor->platform.processors < 2) {
        return;
    }
    cpu->monitor->smp.pausing = true;
    call_for_standing_by(cpu->monitor);
    kick_others(cpu);
    while (!others_are_parked(cpu)) {
        give_way(cpu);
        unlock(cpu->monitor);
        thread_yield();
        lock(cpu);
    }
}

void smp_resume_others(struct virtual_cpu *cpu)
{
    if (cpu->monitor->platform.processors < 2) {
        return;
    }
    cpu->monitor->smp.pausing = false;
    kick_others(cpu);
}

void smp_hide_time(struct monitor *monitor, uint64_t ticks)
{
    monitor->smp.skipped += ticks;
    call_for_standing_by(monitor);
}

void smp_end(struct virtual_cpu *cpu)
{
    struct smp *smp = &cpu->monitor->smp;

    if (cpu->monitor->platform.processors < 2) {
        return;
    }
    give_way(cpu);
    smp->ending = true;
    smp->ender = cpu->index;
    smp_stop_others(cpu);
}

// -- before the guest runs ------------------------------------------------------------------------

// Processors to kick, the caller excepted: those whose local APIC has something new, those that a
// new request of the PIC reaches, and the boot processor for an earlier deadline.
static uint32_t take_kicks(struct monitor *monitor, uint32_t self)
{
    struct platform *platform = &monitor->platform;
    struct smp *smp = &monitor->smp;
    bool pic = pic_pending(&platform->pic);
    uint32_t kicks = smp->kick | platform->apic_bus.wake;

    for (uint32_t i = 0; pic && !smp->pic_pending && i < platform->processors; i++) {
        kicks |= (uint32_t)local_apic_passes_pic(&platform->processor[i].apic) << i;
    }
    smp->pic_pending = pic;
    smp->kick = 0;
    platform->apic_bus.wake = 0;
    return kicks & ~(1u << self);
}

// When the processor's timer or a device has its turn; the boot processor looks after the devices.
static inline uint64_t next_deadline(const struct monitor *monitor, const struct local_apic *apic)
{
    uint64_t devices = run_next_deadline(monitor);

    return devices < apic->timer_due ? devices : apic->timer_due;
}

// The others make the boot processor look when the devices want it earlier than it knows.
static inline uint64_t share_deadline(struct monitor *monitor, const struct virtual_cpu *cpu,
                                      uint64_t deadline)
{
    uint64_t devices = run_next_deadline(monitor);

    if (cpu->index == 0) {
        monitor->smp.device_deadline = devices;
        return deadline;
    }
    if (UNLIKELY(devices < monitor->smp.device_deadline)) {
        monitor->smp.device_deadline = devices;
        monitor->smp.kick |= 1;
    }
    return cpu->machine.apic->timer_due;
}

// A pause is over: this processor's TSC goes on where it was.
static void hide_pauses(struct virtual_cpu *cpu)
{
    uint64_t skipped = cpu->monitor->smp.skipped;

    run_hide_time(cpu, skipped - cpu->skipped);
    cpu->skipped = skipped;
}

static inline bool needs_attention(const struct monitor *monitor, const struct machine *machine,
                                   const struct vcpu_page *page)
{
    uint32_t windows; // both

    __builtin_memcpy(&windows, &page->request_window, sizeof(windows));
    return (windows | page->halted | machine->apic->attention | machine->trap_due) != 0 ||
           (UNLIKELY(pic_pending(&monitor->platform.pic)) && local_apic_passes_pic(machine->apic));
}

// True while nothing but another processor can wake this one: it waits for a start-up IPI, or
// halted with interrupts off.
static bool sleeps_for_good(const struct machine *machine)
{
    const struct vcpu_page *page = machine->page;
    uint32_t wakes = APIC_ATTENTION_INIT | APIC_ATTENTION_SIPI | APIC_ATTENTION_NMI;

    return page && page->halted && !(machine->apic->attention & wakes) &&
           (machine->waiting || !(page->rflags & RFLAGS_IF));
}

// All of them do. (Interrupt lines that are wired as NMIs carry no signal here.)
static bool all_sleep(const struct monitor *monitor)
{
    for (uint32_t i = 0; i < monitor->platform.processors; i++) {
        if (!sleeps_for_good(&monitor->cpu[i].machine)) {
            return false;
        }
    }
    return true;
}

static NOINLINE void attend(struct virtual_cpu *cpu)
{
    struct machine *machine = &cpu->machine;

    cpu->monitor->platform.apic_bus.wake &= ~(1u << cpu->index); // it is awake

    if (machine->apic->attention & (APIC_ATTENTION_INIT | APIC_ATTENTION_SIPI)) {
        event_take_start_up(machine);
    }
    if (machine->trap_due) {
        run_raise_step(cpu);
    }
    event_deliver_to_processor(machine);
    if (machine->page->halted) {
        link_flush(&cpu->monitor->link);
        if (all_sleep(cpu->monitor)) {
            (void)machine_halted(machine);
            run_stop(cpu);
        }
    }
}

static NOINLINE void run_timers(struct monitor *monitor, struct virtual_cpu *cpu)
{
    uint64_t now = monitor->platform.clock.tsc;

    if (now >= run_next_deadline(monitor)) {
        (void)run_what_is_due(cpu, now);
    }
    if (now >= cpu->machine.apic->timer_due) {
        local_apic_run_timer(cpu->machine.apic);
    }
}

static ALWAYS_INLINE void prepare(struct monitor *monitor, struct virtual_cpu *cpu,
                                  struct vcpu_page *page, bool alone)
{
    const struct machine *machine = &cpu->machine;
    uint64_t deadline = next_deadline(monitor, machine->apic);

    if (UNLIKELY(monitor->platform.clock.tsc >= deadline)) {
        run_timers(monitor, cpu);
        deadline = next_deadline(monitor, machine->apic);
    }
    if (UNLIKELY(needs_attention(monitor, machine, page))) {
        attend(cpu);
        deadline = next_deadline(monitor, machine->apic);
    }
    page->deadline_tsc =
        run_allow_progress(page, alone ? deadline : share_deadline(monitor, cpu, deadline));
}

// Threads of a process share one host CPU: whoever is kicked by an interrupt gets its turn at once,
// since the sender often waits for it.
static void kick(struct monitor *monitor, uint32_t kicks)
{
    for (uint32_t left = kicks; left != 0; left &= left - 1) {
        signal_processor(monitor, (uint32_t)__builtin_ctz(left), SMP_KICK_BIT);
    }
    thread_yield();
}

// Gives the lock up, after whoever has something new was kicked.
static inline void let_others(struct monitor *monitor, const struct virtual_cpu *cpu)
{
    uint32_t kicks = 0;

    if (UNLIKELY((monitor->smp.kick | monitor->platform.apic_bus.wake |
                  (uint32_t)(pic_pending(&monitor->platform.pic) != monitor->smp.pic_pending)) !=
                 0)) {
        kicks = take_kicks(monitor, cpu->index);
    }
    unlock(monitor);
    if (UNLIKELY(kicks != 0)) {
        kick(monitor, kicks);
    }
}

// A processor alone has nobody to lock out, and keeps the lock for good.
static ALWAYS_INLINE void run_guest(struct monitor *monitor, struct virtual_cpu *cpu,
                                    uint32_t flags, bool alone)
{
    enum status status;

    if (!alone) {
        let_others(monitor, cpu);
    }
    if (flags != 0) {
        observe_call(&cpu->observer, tsc_now(), cpu->machine.page->halted != 0);
    }
    status = vcpu_run(cpu->handle, flags);
    if (flags != 0) {
        observe_return(&cpu->observer, tsc_now());
    }
    if (!alone) {
        lock(cpu);
    }
    if (UNLIKELY(status != STATUS_OK)) {
        monitor_end(monitor, END_UNHANDLED, RUN_UNHANDLED, status_name(status));
    }
}

// -- after an exit --------------------------------------------------------------------------------

// A pause can begin while the thread waits for the lock, and end and begin again.
static void stand_by(struct virtual_cpu *cpu)
{
    cpu->stands_by = false;
    while (cpu->monitor->smp.pausing) {
        park(cpu);
    }
    if (cpu->skipped != cpu->monitor->smp.skipped) {
        hide_pauses(cpu);
    }
}

// The console is the boot processor's business: the others pass it on.
static void serve(struct monitor *monitor, struct virtual_cpu *cpu)
{
    struct vcpu_page *page = cpu->machine.page;

    page->events |= cpu->deferred_events;
    cpu->deferred_events = 0;
    if (cpu->index == 0) {
        page->events &= 1ull << LINK_EVENT_BIT;
        run_serve_console(monitor, cpu, page);
    } else {
        page->events = 0;
        monitor->smp.kick |= monitor->link.consumed_due;
    }
    if (cpu->stands_by) {
        stand_by(cpu);
    }
}

// `flags` and `alone` are constants, so that a step has nothing but what it needs.
static ALWAYS_INLINE void step(struct monitor *monitor, struct virtual_cpu *cpu,
                               struct vcpu_page *page, uint32_t flags, bool alone)
{
    prepare(monitor, cpu, page, alone);
    run_guest(monitor, cpu, flags, alone);
    if (flags != 0) {
        observing_take(cpu, tsc_now());
        observe_kind(&cpu->observer, page->exit.kind);
    }
    run_set_time(monitor, cpu, page);
    run_handle_exit(cpu, page);
    if (UNLIKELY((page->events | cpu->deferred_events | monitor->link.consumed_due |
                  cpu->stands_by) != 0)) {
        serve(monitor, cpu);
    }
}

static NORETURN void run(struct virtual_cpu *cpu)
{
    struct monitor *monitor = cpu->monitor;
    struct vcpu_page *page = cpu->machine.page;

    stand_by(cpu);
    while (cpu->observer.log) {
        step(monitor, cpu, page, VCPU_RUN_LOG, false);
    }
    if (monitor->platform.processors == 1) {
        for (;;) {
            step(monitor, cpu, page, 0, true);
        }
    }
    for (;;) {
        step(monitor, cpu, page, 0, false);
    }
}

// -- the beginning --------------------------------------------------------------------------------

// The boot processor starts in the guest image, the others wait for a start-up IPI.
static void begin(struct virtual_cpu *cpu)
{
    static struct vcpu_page reset; // the same for all
    struct monitor *monitor = cpu->monitor;
    struct vcpu_page *page = cpu->machine.page;

    reset = *page;
    cpu->machine.reset = &reset;
    page->tsc_offset = monitor->smp.tsc_offset;
    page->dirty |= VCPU_GROUP_MSRS;
    local_apic_set_tsc_offset(cpu->machine.apic, page->tsc_offset);
    if (cpu->index == 0) {
        monitor_enter_image(monitor, page);
        if (channel_bind(monitor->link.from_console, LINK_EVENT_BIT) != STATUS_OK) {
            monitor_end(monitor, END_BAD_CONFIG, RUN_USAGE, "console channel: refused");
        }
        run_take_messages(cpu);
    } else {
        page->halted = 1;
        cpu->machine.waiting = true;
    }
}

static void processor_main(uint64_t argument)
{
    struct virtual_cpu *cpu = (struct virtual_cpu *)(uintptr_t)argument;

    lock(cpu);
    monitor_make_vcpu(cpu);
    begin(cpu);
    observing_start(cpu);
    run(cpu);
}

static void start_thread(struct monitor *monitor, struct virtual_cpu *cpu)
{
    int64_t stack = memory_allocate(STACK_BYTES);
    int64_t thread = stack;

    if (stack > 0) { // the entry expects the stack as a call leaves it
        thread = thread_create(processor_main, (void *)(uintptr_t)(stack + STACK_BYTES - 8),
                               user_address(cpu));
    }
    if (thread < 0) {
        monitor_end(monitor, END_BAD_CONFIG, RUN_USAGE,
                    "thread of a virtual processor: not enough memory");
    }
    cpu->thread = (uint32_t)thread;
}

NORETURN void smp_run(struct monitor *monitor)
{
    struct smp *smp = &monitor->smp;

    smp->tsc_offset = -tsc_now();
    smp->device_deadline = CLOCK_NEVER;
    atomic_store_explicit(&smp->held, 1, memory_order_relaxed); // nobody else is there yet
    for (uint32_t i = 0; i < monitor->platform.processors; i++) {
        start_thread(monitor, &monitor->cpu[i]);
    }
    unlock(monitor);
    for (;;) {
        (void)event_wait(0);
    }
}
