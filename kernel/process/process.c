// SPDX-License-Identifier: MIT
// The life of processes (process.h): their threads, and how they end.
#include "kernel/process/process.h"
#include "arch/x86/cpu/context.h"
#include "kernel/abi/message.h"
#include "kernel/core/assert.h"
#include "kernel/core/event_log.h"
#include "kernel/core/interrupt.h"
#include "kernel/core/log.h"
#include "kernel/core/mode.h"
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/process/process_private.h"
#include "kernel/thread/scheduler.h"

static struct lock tree_lock = LOCK_INITIAL(LOCK_PROCESS_TREE);
static struct queue processes; // live ones; guarded by tree_lock

void process_list_add(struct process *process)
{
    lock_acquire(&tree_lock);
    queue_push(&processes, &process->alive);
    lock_release(&tree_lock);
}

// -- threads --------------------------------------------------------------------------------------

static void user_thread_main(void *argument)
{
    struct thread *thread = argument;
    const uint64_t *registers = thread->context.registers;

    ASSERT(uctx_complete(&thread->context));
    leave_to_user();
    proc_start_user(this_cpu());
    event_log(EVENT_START_USER, 0, 0, EVENT_MODE_USER);
    user_enter(registers[UCTX_RIP], registers[UCTX_RSP], registers[UCTX_RDI]);
}

static enum status join(struct process *process, struct thread *thread)
{
    enum status status = STATUS_STATE;

    lock_acquire(&process->lock);
    if (!process->ending) {
        queue_push(&process->threads, &thread->in_process);
        process->threads_allocated++;
        status = STATUS_OK;
    }
    lock_release(&process->lock);
    return status;
}

enum status process_add_thread(struct process *process, uint64_t entry, uint64_t stack_top,
                               uint64_t argument, uint32_t cpu, struct thread **created)
{
    struct user_context context = {.set = 0};
    struct thread *thread;

    if (uctx_set_pointer(&context, UCTX_RIP, entry) != STATUS_OK ||
        uctx_set_pointer(&context, UCTX_RSP, stack_top) != STATUS_OK ||
        uctx_set(&context, UCTX_RDI, argument) != STATUS_OK) {
        return STATUS_INVALID;
    }
    enum status status = thread_create(process, process->container, process->priority, cpu,
                                       user_thread_main, NULL, &thread);
    if (status != STATUS_OK) {
        return status;
    }
    thread->argument = thread;
    thread->context = context;
    status = join(process, thread);
    if (status != STATUS_OK) {
        thread_discard(thread);
        return status;
    }
    thread_wake(thread);
    *created = thread;
    return STATUS_OK;
}

// -- the end --------------------------------------------------------------------------------------

void process_kill(struct process *process, const struct process_status *status)
{
    lock_acquire(&tree_lock);
    if (!process->doomed) {
        process->doomed = true;
        process->status = *status;
        process->status.ended = 0;
    }
    lock_acquire(&process->lock);
    process->ending = true;
    for (struct queue_node *node = process->threads.head; node; node = node->next) {
        thread_kill(CONTAINER_OF(node, struct thread, in_process));
    }
    lock_release(&process->lock);
    lock_release(&tree_lock);
}

// Gives back what the process held. Runs on its last thread; no CPU uses the address space.
static void tear_down(struct process *process)
{
    process_close_all_handles(process);
    process_free_space(process);
}

void process_thread_ended(struct process *process, struct thread *thread)
{
    scheduler_leave_space();
    lock_acquire(&process->lock);
    queue_remove(&thread->in_process);
    bool last = process->threads.length == 0;
    if (last) {
        process->ending = true;
    }
    lock_release(&process->lock);
    if (last) {
        tear_down(process);
    }
}

// The last thread's stack is free: everything is given back, so say that it is over. Who hears of
// it may revoke the containers, so the reference to itself goes before that can happen.
static void announce_end(struct process *process)
{
    bool is_root = process->is_root;

    lock_acquire(&tree_lock);
    queue_remove(&process->alive);
    process->doomed = true; // nothing that comes now changes the status
    process->status.ended = 1;
    event_send(&process->watcher);
    condition_wake_all(&process->ended);
    if (!is_root) {
        object_release(&process->object);
    }
    lock_release(&tree_lock);
    if (is_root) {
        log_line(LOG_ERROR, "the first process, %s, ended with code %lu", process->name,
                 process->status.code);
        run_end(RUN_HOST_PANIC);
    }
}

void process_abandon(struct process *process)
{
    tear_down(process);
    announce_end(process);
}

void process_thread_freed(struct process *process)
{
    lock_acquire(&process->lock);
    bool over = --process->threads_allocated == 0;
    lock_release(&process->lock);
    if (over) {
        announce_end(process);
    }
}

enum status process_destroy(struct process *process)
{
    const struct process_status status = {.code = 0};

    if (process == current_process()) {
        return STATUS_INVALID;
    }
    process_kill(process, &status);
    lock_acquire(&tree_lock);
    while (!process->status.ended && !thread_killed()) {
        (void)condition_wait(&process->ended, &tree_lock);
    }
    bool ended = process->status.ended;
    lock_release(&tree_lock);
    return ended ? STATUS_OK : STATUS_DEAD;
}

static struct process *find_within(uint32_t container)
{
    struct process *found = NULL;

    lock_acquire(&tree_lock);
    for (struct queue_node *node = processes.head; node && !found; node = node->next) {
        struct process *process = CONTAINER_OF(node, struct process, alive);

        if (container_is_within(&kernel_containers, process->container, container)) {
            object_acquire(&process->object);
            found = process;
        }
    }
    lock_release(&tree_lock);
    return found;
}

enum status process_destroy_within(uint32_t container)
{
    enum status status = STATUS_OK;
    struct process *process;

    while (status == STATUS_OK && (process = find_within(container)) != NULL) {
        status = process_destroy(process);
        object_release(&process->object);
    }
    return status;
}

// -- watching -------------------------------------------------------------------------------------

void process_watch(struct process *process, uint32_t bit)
{
    lock_acquire(&tree_lock);
    event_bind(&process->watcher, bit);
    if (process->status.ended) {
        event_send(&process->watcher);
    }
    lock_release(&tree_lock);
}

void process_unwatch(struct process *process, const struct process *watcher)
{
    lock_acquire(&tree_lock);
    event_unbind(&process->watcher, watcher);
    lock_release(&tree_lock);
}

void process_get_status(struct process *process, struct process_status *status)
{
    lock_acquire(&tree_lock);
    *status = process->status;
    lock_release(&tree_lock);
}
