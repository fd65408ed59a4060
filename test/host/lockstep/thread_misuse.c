// SPDX-License-Identifier: MIT
// What the kernel has to stop at in the world of thread_world.h: locks and modes used wrongly, as a
// checked build watches them; and the steps between modes that are right.
#include "kernel/core/event_log.h"
#include "kernel/core/mode.h"
#include "kernel/memory/container.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"
#include "test/host/lockstep/thread_world.h"

static void acquire(void *lock)
{
    lock_acquire(lock);
}

static void release(void *lock)
{
    lock_release(lock);
}

static void switch_away(void *unused)
{
    (void)unused;
    thread_yield();
}

// The specification refuses and the kernel panics, and nothing has changed.
static void stops(const char *what, enum spec_rule rule, void (*function)(void *), void *argument)
{
    event_log_on = false; // what is allowed the specification has done already
    bool panicked = host_panics(function, argument);
    event_log_on = true;
    lockstep_same(what, rule, panicked ? SPEC_PANIC : STATUS_OK);
}

void misuse_locks(struct actor *actor)
{
    static struct lock unknown; // never initialised
    uint32_t a = lockstep_below(WORLD_CHANNELS);
    uint32_t b = lockstep_below(WORLD_CHANNELS);
    struct lock *lock = &channels[a].channel->lock;

    (void)actor;
    stops("release", release_lock_spec(&spec, host_cpu, a, &spec), release, lock);
    stops("unknown lock", acquire_lock_spec(&spec, host_cpu, SPEC_LOCKS - 1, &spec), acquire,
          &unknown);
    lock_acquire(lock);
    stops("two channel locks", acquire_lock_spec(&spec, host_cpu, b, &spec), acquire,
          &channels[b].channel->lock);
    stops("switch", thread_switch_spec(&spec, host_cpu, SPEC_NONE, &spec), switch_away, NULL);
    lock_release(lock);
    lock_acquire(&kernel_containers.lock);
    stops("lock order", acquire_lock_spec(&spec, host_cpu, a, &spec), acquire, lock);
    lock_release(&kernel_containers.lock);
}

static void out(void *cpu)
{
    hostout(cpu);
}

static void in(void *cpu)
{
    hostin(cpu);
}

static void start_user(void *cpu)
{
    proc_start_user(cpu);
}

static void exit_user(void *cpu)
{
    proc_exit_user(cpu);
}

static enum spec_rule exit_user_rule(uint64_t stack)
{
    return proc_exit_user_spec(&spec, host_cpu, NULL, stack, &spec);
}

void change_guest_modes(struct actor *actor)
{
    struct cpu *cpu = this_cpu();
    struct lock *lock = &channels[actor->channel].channel->lock;

    stops("hostin in the host", hostin_spec(&spec, host_cpu, &spec), in, cpu);
    lock_acquire(lock);
    stops("hostout with a lock", hostout_spec(&spec, host_cpu, &spec), out, cpu);
    lock_release(lock);
    stops("hostout", hostout_spec(&spec, host_cpu, &spec), out, cpu);
    stops("hostout in a guest", hostout_spec(&spec, host_cpu, &spec), out, cpu);
    stops("start_user in a guest", proc_start_user_spec(&spec, host_cpu, &spec), start_user, cpu);
    stops("hostin", hostin_spec(&spec, host_cpu, &spec), in, cpu);
}

// The thread becomes one of a process for a moment, on that process's page table, as
// scheduler_switch would have it.
void change_user_modes(struct actor *actor)
{
    static struct process process;
    struct cpu *cpu = this_cpu();
    struct lock *lock = &channels[actor->channel].channel->lock;
    uint32_t number = (uint32_t)(actor - actors);
    uint64_t stack = kernel_stack_start(stack_slot_address(actor->thread->stack.slot));
    uint64_t kernel_table = cr3_read();
    uint32_t container = spec.threads[number].container;

    stops("exit_user in the kernel", exit_user_rule(stack), exit_user, cpu);
    stops("start_user of a kernel thread", proc_start_user_spec(&spec, host_cpu, &spec), start_user,
          cpu);
    process.space = *spaces[actor->space];
    process.container = container;
    actor->thread->process = &process;
    cr3_write(process.space.table.root.value);
    cpu_set_kernel_stack(cpu, stack);
    spec_context_fill(&spec, number, 0x400000, 0x500000);
    spec.threads[number].stack_low = stack_slot_address(actor->thread->stack.slot);
    spec.threads[number].stack_high = stack;
    process.container = CONTAINER_MAXIMUM;
    spec.threads[number].container = SPEC_NONE;
    stops("start_user unpaid for", proc_start_user_spec(&spec, host_cpu, &spec), start_user, cpu);
    process.container = container;
    spec.threads[number].container = container;
    lock_acquire(lock);
    stops("start_user with a lock", proc_start_user_spec(&spec, host_cpu, &spec), start_user, cpu);
    lock_release(lock);
    stops("start_user", proc_start_user_spec(&spec, host_cpu, &spec), start_user, cpu);
    lockstep_equal("page table", cr3_read(), process.space.table.root.value);
    stops("start_user in ring 3", proc_start_user_spec(&spec, host_cpu, &spec), start_user, cpu);
    cpu_set_kernel_stack(cpu, stack + KERNEL_STACK_SIZE);
    stops("on another stack", exit_user_rule(stack + KERNEL_STACK_SIZE), exit_user, cpu);
    cpu_set_kernel_stack(cpu, stack);
    process.container = CONTAINER_MAXIMUM;
    spec.threads[number].container = SPEC_NONE;
    stops("exit_user unpaid for", exit_user_rule(stack), exit_user, cpu);
    process.container = container;
    spec.threads[number].container = container;
    stops("exit_user", exit_user_rule(stack), exit_user, cpu);
    spec.threads[number].registers_set = 0;
    actor->thread->process = NULL;
    cr3_write(kernel_table);
}
