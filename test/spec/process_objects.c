// SPDX-License-Identifier: MIT
// What follows from who lives and who has which handles: which objects there are, and what each
// container pays (process.h).
#include "test/spec/process_private.h"

static bool is_named(const struct spec_processes *now, uint32_t kind, uint32_t index)
{
    for (uint32_t p = 0; p < SPEC_PROCESSES; p++) {
        for (uint32_t i = 0; now->processes[p].alive && i < SPEC_HANDLES; i++) {
            const struct spec_handle *handle = &now->processes[p].handles.entries[i];

            if (handle->kind == kind && handle->value == index) {
                return true;
            }
        }
    }
    return false;
}

static bool is_watching(const struct spec_processes *now, uint32_t thread)
{
    for (uint32_t i = 0; i < SPEC_PROCESSES; i++) {
        if (now->processes[i].exists && now->processes[i].watcher == thread) {
            return true;
        }
    }
    return false;
}

static void charge(struct spec_processes *next, uint32_t container, uint64_t pages)
{
    next->containers.slots[container].usage += pages;
}

// A container's usage is what is charged to it and lent to its children.
static void sum(struct spec_processes *next)
{
    for (uint32_t i = 0; i < SPEC_CONTAINERS; i++) {
        next->containers.slots[i].usage = 0;
    }
    for (uint32_t i = 1; i < SPEC_CONTAINERS; i++) {
        const struct spec_container *child = &next->containers.slots[i];

        charge(next, child->parent, child->used ? child->quota : 0);
    }
    for (uint32_t i = 0; i < SPEC_PROCESSES; i++) {
        const struct spec_process *process = &next->processes[i];

        charge(next, process->creator, process->exists);
        charge(next, process->container, process->alive ? next->space_pages : 0);
    }
    for (uint32_t i = 0; i < SPEC_PROCESS_THREADS; i++) {
        const struct spec_process_thread *thread = &next->threads[i];

        charge(next, thread->container, thread->exists + (thread->alive ? next->thread_pages : 0));
    }
    for (uint32_t i = 0; i < SPEC_PROCESS_CHANNELS; i++) {
        charge(next, next->channels[i].container,
               next->channels[i].exists ? SPEC_CHANNEL_PAGES : 0);
    }
}

void spec_processes_collect(struct spec_processes *next)
{
    for (uint32_t i = 0; i < SPEC_PROCESSES; i++) {
        if (next->processes[i].exists && !next->processes[i].alive) {
            next->processes[i].exists = is_named(next, SPEC_HANDLE_PROCESS, i);
        }
    }
    for (uint32_t i = 0; i < SPEC_PROCESS_THREADS; i++) {
        if (next->threads[i].exists && !next->threads[i].alive) {
            next->threads[i].exists = is_named(next, SPEC_HANDLE_THREAD, i) || is_watching(next, i);
        }
    }
    for (uint32_t i = 0; i < SPEC_PROCESS_CHANNELS; i++) {
        next->channels[i].exists =
            next->channels[i].exists && is_named(next, SPEC_HANDLE_CHANNEL, i);
    }
    sum(next);
}

enum spec_rule process_ask_spec(const struct spec_processes *now, uint32_t caller, uint64_t number,
                                uint32_t kind, bool writable, struct spec_handle *handle)
{
    enum spec_rule rule = process_handle_spec(now, caller, number, kind, handle);

    return rule == SPEC_ALLOWED && !writable ? ASK_WRITABLE : rule;
}

const char *spec_processes_invariant(const struct spec_processes *now)
{
    for (uint32_t i = 0; i < SPEC_PROCESSES; i++) {
        const struct spec_process *process = &now->processes[i];
        uint32_t threads = 0;

        for (uint32_t k = 0; k < SPEC_PROCESS_THREADS; k++) {
            threads += now->threads[k].alive && now->threads[k].process == i;
        }
        if (process->alive != (threads > 0)) {
            return "a process lives while it has a thread";
        }
        if (process->alive && !now->containers.slots[process->container].used) {
            return "the container of a living process is in use";
        }
    }
    return spec_containers_invariant(&now->containers);
}
