// SPDX-License-Identifier: MIT
// Processes (process.h).
#include "test/spec/process.h"
#include <string.h>
#include "test/spec/process_private.h"

#define USER_LIMIT     0x0000800000000000ull
#define CPU_LIMIT      64u
#define PRIORITIES     2u
#define WEIGHT_LIMIT   1000u
#define EVENT_BITS     63u
#define OWN_HANDLES    2u // 0 and 1: the process's container, and the process
#define PROCESS_MODULE 0u // the program

// -- handles -------------------------------------------------------------------------------------

static bool is_revoked(const struct spec_processes *now, uint64_t value)
{
    const struct spec_container *slot = &now->containers.slots[(uint32_t)value];

    return !slot->used || slot->generation != value >> 32;
}

enum spec_rule process_handle_spec(const struct spec_processes *now, uint32_t caller,
                                   uint64_t number, uint32_t kind, struct spec_handle *handle)
{
    enum spec_rule rule = handle_get_spec(&now->processes[caller].handles, number, kind, handle);

    if (rule != SPEC_ALLOWED) {
        return rule == HANDLE_GET_USED ? TAKE_USED : TAKE_KIND;
    }
    return kind == SPEC_HANDLE_CONTAINER && is_revoked(now, handle->value) ? TAKE_REVOKED
                                                                           : SPEC_ALLOWED;
}

static bool has_room(const struct spec_processes *now, uint32_t caller)
{
    for (uint32_t i = 0; i < SPEC_HANDLES; i++) {
        if (now->processes[caller].handles.entries[i].kind == 0) {
            return true;
        }
    }
    return false;
}

// Enters what was made into the caller's table, which has room.
static uint32_t enter(struct spec_processes *next, uint32_t caller, uint32_t kind, uint64_t value)
{
    struct spec_handles *handles = &next->processes[caller].handles;
    uint32_t number = SPEC_NONE;

    (void)handle_add_spec(handles, (struct spec_handle){kind, value}, handles, &number);
    spec_processes_collect(next);
    return number;
}

enum spec_rule device_owner_spec(const struct spec_processes *now, uint32_t caller, uint32_t port)
{
    if (!now->processes[caller].is_root) {
        return OWNER_ONLY;
    }
    return port == SPEC_NONE || port < now->ports ? SPEC_ALLOWED : OWNER_PORT;
}

enum spec_rule event_signal_spec(const struct spec_processes *now, uint32_t caller, uint64_t number,
                                 uint64_t bits, struct spec_processes *next)
{
    struct spec_handle handle;
    enum spec_rule rule = process_handle_spec(now, caller, number, SPEC_HANDLE_THREAD, &handle);

    if (rule == SPEC_ALLOWED && bits >> EVENT_BITS != 0) {
        rule = SIGNAL_BITS;
    }
    if (rule == SPEC_ALLOWED) {
        spec_processes_begin(now, next);
        next->threads[handle.value].events |= bits;
    }
    return rule;
}

static void tell_of_end(struct spec_processes *next, uint32_t index)
{
    const struct spec_process *process = &next->processes[index];

    if (!process->alive && process->watcher != SPEC_NONE) {
        next->threads[process->watcher].events |= process->watch;
    }
}

enum spec_rule process_bind_spec(const struct spec_processes *now, uint32_t caller, uint32_t thread,
                                 uint64_t number, uint64_t bit, struct spec_processes *next)
{
    struct spec_handle handle;
    enum spec_rule rule = process_handle_spec(now, caller, number, SPEC_HANDLE_PROCESS, &handle);

    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    if (bit >= EVENT_BITS) {
        return BIND_BIT;
    }
    if (handle.value == caller) {
        return BIND_OWN;
    }
    spec_processes_begin(now, next);
    next->processes[handle.value].watcher = thread;
    next->processes[handle.value].watch = 1ull << bit;
    tell_of_end(next, (uint32_t)handle.value);
    spec_processes_collect(next);
    return SPEC_ALLOWED;
}

// Who lets go of a process is not told of its end any more.
static void unwatch(struct spec_processes *next, uint32_t closer, const struct spec_handle *handle)
{
    if (handle->kind == SPEC_HANDLE_PROCESS) {
        struct spec_process *process = &next->processes[handle->value];

        if (process->watcher != SPEC_NONE && next->threads[process->watcher].process == closer) {
            process->watcher = SPEC_NONE;
        }
    }
}

enum spec_rule handle_close_spec(const struct spec_processes *now, uint32_t caller, uint64_t number,
                                 struct spec_processes *next)
{
    struct spec_handle handle;

    if (number < OWN_HANDLES) {
        return CLOSE_OWN;
    }
    if (number >= SPEC_HANDLES || now->processes[caller].handles.entries[number].kind == 0) {
        return CLOSE_USED;
    }
    spec_processes_begin(now, next);
    struct spec_handles *handles = &next->processes[caller].handles;
    (void)handle_remove_spec(handles, number, handles, &handle);
    unwatch(next, caller, &handle);
    spec_processes_collect(next);
    return SPEC_ALLOWED;
}

// -- making things -------------------------------------------------------------------------------

static uint64_t left_in(const struct spec_processes *now, uint32_t container)
{
    return now->containers.slots[container].quota - now->containers.slots[container].usage;
}

enum spec_rule module_open_spec(const struct spec_processes *now, uint32_t caller, uint64_t index,
                                bool writable, struct spec_processes *next, uint32_t *number)
{
    enum spec_rule rule = device_owner_spec(now, caller, SPEC_NONE);

    if (rule == SPEC_ALLOWED && index >= now->modules) {
        rule = MODULE_EXISTS;
    }
    if (rule == SPEC_ALLOWED && !writable) {
        rule = MODULE_BUFFER;
    }
    if (rule == SPEC_ALLOWED && !has_room(now, caller)) {
        rule = NEW_HANDLE_ROOM;
    }
    if (rule == SPEC_ALLOWED) {
        spec_processes_begin(now, next);
        *number = enter(next, caller, SPEC_HANDLE_MODULE, index);
    }
    return rule;
}

enum spec_rule channel_make_spec(const struct spec_processes *now, uint32_t caller,
                                 struct spec_processes *next, uint32_t *number)
{
    uint32_t container = now->processes[caller].container;
    uint32_t channel = 0;

    if (left_in(now, container) < SPEC_CHANNEL_PAGES) {
        return CHANNEL_QUOTA;
    }
    if (!has_room(now, caller)) {
        return NEW_HANDLE_ROOM;
    }
    while (now->channels[channel].exists) {
        channel++;
    }
    spec_processes_begin(now, next);
    next->channels[channel] = (struct spec_process_channel){true, container};
    *number = enter(next, caller, SPEC_HANDLE_CHANNEL, channel);
    return SPEC_ALLOWED;
}

static uint32_t add_thread(struct spec_processes *next, uint32_t process)
{
    uint32_t thread = 0;

    while (next->threads[thread].exists) {
        thread++;
    }
    next->threads[thread] =
        (struct spec_process_thread){true, true, process, next->processes[process].container, 0};
    return thread;
}

enum spec_rule thread_make_spec(const struct spec_processes *now, uint32_t caller, uint64_t entry,
                                uint64_t stack, uint64_t cpu, struct spec_processes *next,
                                uint32_t *number)
{
    if (cpu > now->cpus) {
        return THREAD_CPU;
    }
    if (entry >= USER_LIMIT || stack >= USER_LIMIT) {
        return THREAD_POINTERS;
    }
    if (left_in(now, now->processes[caller].container) < 1 + now->thread_pages) {
        return THREAD_QUOTA;
    }
    if (!has_room(now, caller)) {
        return NEW_HANDLE_ROOM;
    }
    spec_processes_begin(now, next);
    uint32_t thread = add_thread(next, caller);
    *number = enter(next, caller, SPEC_HANDLE_THREAD, thread);
    return SPEC_ALLOWED;
}

static enum spec_rule check_arguments(const struct spec_processes *now, uint32_t caller,
                                      const struct spec_process_arguments *arguments)
{
    if (!arguments->readable) {
        return CREATE_ARGUMENTS;
    }
    if (arguments->priority >= PRIORITIES || arguments->handle_count > SPEC_PASSED ||
        arguments->text_bytes > SPEC_TEXT || arguments->cpu > CPU_LIMIT) {
        return CREATE_LIMITS;
    }
    if (arguments->priority > now->processes[caller].priority) {
        return CREATE_PRIORITY;
    }
    return arguments->text_readable ? SPEC_ALLOWED : CREATE_TEXT;
}

// What may be passed on: channels, modules, and containers that are still there.
static enum spec_rule passable(const struct spec_processes *now, uint32_t caller, uint64_t number,
                               struct spec_handle *handle)
{
    static const uint32_t kinds[] = {SPEC_HANDLE_CHANNEL, SPEC_HANDLE_MODULE,
                                     SPEC_HANDLE_CONTAINER};
    enum spec_rule rule = TAKE_KIND;

    for (uint32_t i = 0; i < 3 && rule == TAKE_KIND; i++) {
        rule = process_handle_spec(now, caller, number, kinds[i], handle);
    }
    return rule == TAKE_KIND ? CREATE_PASSED : rule;
}

// The pages are there: the struct is the caller's to pay for, the rest the container's. Nothing is
// paid for before what comes earlier was found right.
static enum spec_rule check_pages(const struct spec_processes *now, uint32_t caller,
                                  uint32_t container, uint64_t module, uint32_t cpu)
{
    uint32_t creator = now->processes[caller].container;
    uint64_t left = left_in(now, container) - (container == creator);

    if (left_in(now, creator) < 1 || left < SPEC_SPACE_BASE_PAGES) {
        return CREATE_QUOTA;
    }
    if (module != PROCESS_MODULE) {
        return CREATE_PROGRAM;
    }
    if (left < now->space_pages) {
        return CREATE_QUOTA;
    }
    if (cpu > now->cpus) {
        return CREATE_CPU;
    }
    return left < now->space_pages + 1 + now->thread_pages ? CREATE_QUOTA : SPEC_ALLOWED;
}

static enum spec_rule check_handles(const struct spec_processes *now, uint32_t caller,
                                    const struct spec_process_arguments *arguments,
                                    struct spec_handle *module, struct spec_handle *container,
                                    struct spec_handle passed[SPEC_PASSED])
{
    enum spec_rule rule =
        process_handle_spec(now, caller, arguments->module, SPEC_HANDLE_MODULE, module);

    if (rule == SPEC_ALLOWED) {
        rule = process_handle_spec(now, caller, arguments->container, SPEC_HANDLE_CONTAINER,
                                   container);
    }
    for (uint32_t i = 0; rule == SPEC_ALLOWED && i < arguments->handle_count; i++) {
        rule = passable(now, caller, arguments->handles[i], &passed[i]);
    }
    return rule;
}

// The new process begins with handles to its container and to itself; the passed ones follow.
static void fill_handles(struct spec_handles *handles, uint64_t container, uint32_t process,
                         const struct spec_handle *passed, uint32_t count)
{
    *handles = (struct spec_handles){0};
    handles->entries[0] = (struct spec_handle){SPEC_HANDLE_CONTAINER, container};
    handles->entries[1] = (struct spec_handle){SPEC_HANDLE_PROCESS, process};
    memcpy(&handles->entries[OWN_HANDLES], passed, count * sizeof(*passed));
}

enum spec_rule process_make_spec(const struct spec_processes *now, uint32_t caller,
                                 const struct spec_process_arguments *arguments,
                                 struct spec_processes *next, uint32_t *number)
{
    struct spec_handle module, container, passed[SPEC_PASSED];
    uint32_t process = 0;
    enum spec_rule rule = check_arguments(now, caller, arguments);

    if (rule == SPEC_ALLOWED) {
        rule = check_handles(now, caller, arguments, &module, &container, passed);
    }
    if (rule == SPEC_ALLOWED) {
        rule = check_pages(now, caller, (uint32_t)container.value, module.value, arguments->cpu);
    }
    if (rule == SPEC_ALLOWED && !has_room(now, caller)) {
        rule = NEW_HANDLE_ROOM;
    }
    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    while (now->processes[process].exists) {
        process++;
    }
    spec_processes_begin(now, next);
    struct spec_process *made = &next->processes[process];
    *made = (struct spec_process){.exists = true,
                                  .alive = true,
                                  .watcher = SPEC_NONE,
                                  .container = (uint32_t)container.value,
                                  .creator = next->processes[caller].container,
                                  .priority = arguments->priority};
    fill_handles(&made->handles, container.value, process, passed, arguments->handle_count);
    (void)add_thread(next, process);
    *number = enter(next, caller, SPEC_HANDLE_PROCESS, process);
    return SPEC_ALLOWED;
}

void spec_processes_start(struct spec_processes *now, uint64_t quota)
{
    struct spec_process *root = &now->processes[0];

    spec_containers_init(&now->containers, quota);
    *root = (struct spec_process){
        .exists = true, .alive = true, .is_root = true, .watcher = SPEC_NONE, .priority = 1};
    fill_handles(&root->handles, 1ull << 32, 0, root->handles.entries, 0);
    (void)add_thread(now, 0);
    spec_processes_collect(now);
}

// -- the end -------------------------------------------------------------------------------------

static void end_process(struct spec_processes *next, uint32_t index)
{
    struct spec_process *process = &next->processes[index];

    process->alive = false;
    for (uint32_t i = 0; i < SPEC_HANDLES; i++) {
        unwatch(next, index, &process->handles.entries[i]);
    }
    process->handles = (struct spec_handles){0};
    tell_of_end(next, index);
    for (uint32_t i = 0; i < SPEC_PROCESS_THREADS; i++) {
        if (next->threads[i].process == index) {
            next->threads[i].alive = false;
        }
    }
    spec_processes_collect(next);
}

void process_thread_exit_spec(const struct spec_processes *now, uint32_t thread,
                              struct spec_processes *next)
{
    uint32_t process = now->threads[thread].process;
    uint32_t others = 0;

    spec_processes_begin(now, next);
    next->threads[thread].alive = false;
    for (uint32_t i = 0; i < SPEC_PROCESS_THREADS; i++) {
        others += next->threads[i].alive && next->threads[i].process == process;
    }
    if (others == 0) {
        end_process(next, process);
    }
    spec_processes_collect(next);
}

void process_exit_spec(const struct spec_processes *now, uint32_t process, uint64_t code,
                       struct spec_processes *next)
{
    spec_processes_begin(now, next);
    next->processes[process].code = code;
    end_process(next, process);
}

void process_fault_spec(const struct spec_processes *now, uint32_t process, uint64_t vector,
                        struct spec_processes *next)
{
    spec_processes_begin(now, next);
    next->processes[process].faulted = true;
    next->processes[process].vector = vector;
    end_process(next, process);
}

enum spec_rule process_destroy_spec(const struct spec_processes *now, uint32_t caller,
                                    uint64_t number, struct spec_processes *next)
{
    struct spec_handle handle;
    enum spec_rule rule = process_handle_spec(now, caller, number, SPEC_HANDLE_PROCESS, &handle);

    if (rule == SPEC_ALLOWED && handle.value == caller) {
        rule = DESTROY_SELF;
    }
    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    spec_processes_begin(now, next);
    if (next->processes[handle.value].alive) {
        end_process(next, (uint32_t)handle.value);
    }
    return handle_close_spec(next, caller, number, next);
}

// -- containers ----------------------------------------------------------------------------------

enum spec_rule container_make_spec(const struct spec_processes *now, uint32_t caller,
                                   uint64_t number, uint64_t pages, uint64_t weight, uint32_t child,
                                   struct spec_processes *next, uint32_t *made)
{
    struct spec_handle handle;
    struct spec_containers containers = now->containers;
    enum spec_rule rule = process_handle_spec(now, caller, number, SPEC_HANDLE_CONTAINER, &handle);

    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    if (weight > WEIGHT_LIMIT) {
        return WEIGHT_RANGE;
    }
    if (weight > 0 && !now->processes[caller].is_root) {
        return WEIGHT_OWNER;
    }
    rule = container_split_spec(&containers, (uint32_t)handle.value, pages, child, &containers);
    if (rule == SPLIT_QUOTA_ZERO || rule == SPLIT_QUOTA) {
        return rule == SPLIT_QUOTA ? MAKE_QUOTA : MAKE_ZERO;
    }
    if (rule != SPEC_ALLOWED || !has_room(now, caller)) {
        return rule == SPEC_ALLOWED ? NEW_HANDLE_ROOM : rule;
    }
    spec_processes_begin(now, next);
    next->containers = containers;
    *made = enter(next, caller, SPEC_HANDLE_CONTAINER,
                  child | (uint64_t)containers.slots[child].generation << 32);
    return SPEC_ALLOWED;
}

static void end_processes_within(struct spec_processes *next, uint32_t container)
{
    for (uint32_t i = 0; i < SPEC_PROCESSES; i++) {
        if (next->processes[i].alive &&
            container_is_within_spec(&next->containers, next->processes[i].container, container)) {
            end_process(next, i);
        }
    }
}

enum spec_rule container_end_spec(const struct spec_processes *now, uint32_t caller,
                                  uint64_t number, struct spec_processes *next, bool *left)
{
    struct spec_handle handle;
    enum spec_rule rule = process_handle_spec(now, caller, number, SPEC_HANDLE_CONTAINER, &handle);

    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    uint32_t container = (uint32_t)handle.value;
    if (container_is_within_spec(&now->containers, now->processes[caller].container, container)) {
        return END_OWN;
    }
    spec_processes_begin(now, next);
    end_processes_within(next, container);
    struct spec_containers *containers = &next->containers;
    for (bool progress = true; progress;) {
        progress = false;
        for (uint32_t i = 1; i < SPEC_CONTAINERS; i++) {
            progress |= container_is_within_spec(containers, i, container) &&
                        container_revoke_spec(containers, i, containers) == SPEC_ALLOWED;
        }
    }
    *left = containers->slots[container].used;
    spec_processes_collect(next);
    return *left ? SPEC_ALLOWED : handle_close_spec(next, caller, number, next);
}
