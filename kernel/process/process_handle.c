// SPDX-License-Identifier: MIT
// A process's handles (process.h): look-up with a reference, and closing.
#include "kernel/core/assert.h"
#include "kernel/ipc/channel.h"
#include "kernel/memory/container.h"
#include "kernel/process/process.h"
#include "kernel/process/process_private.h"
#include "kernel/vm/vm.h"

enum status process_handle_add(struct process *process, enum handle_kind kind, void *object,
                               uint32_t *number)
{
    enum status status = STATUS_STATE;

    lock_acquire(&process->lock);
    if (!process->ending) {
        status = handle_table_add(&process->handles, (struct handle){kind, {object}}, number);
    }
    lock_release(&process->lock);
    return status;
}

// The object that counts references to what a handle names; null: nothing does.
static struct object *counted(const struct handle *handle)
{
    const uint32_t kinds =
        1u << HANDLE_CHANNEL | 1u << HANDLE_PROCESS | 1u << HANDLE_THREAD | 1u << HANDLE_VM;

    return kinds >> handle->kind & 1 ? handle->object : NULL;
}

void handle_release(const struct handle *handle)
{
    if (counted(handle)) {
        object_release(counted(handle));
    }
}

// A container's handle is good while the slot still holds the same container.
NOINLINE enum status container_handle_check(const struct handle *handle)
{
    struct container container = container_get(&kernel_containers, (uint32_t)handle->value);
    bool same = container.used && container.generation == handle->value >> 32;

    return same ? STATUS_OK : STATUS_DEAD;
}

enum status process_handle_take(struct process *process, uint64_t number, enum handle_kind kind,
                                struct handle *handle)
{
    lock_acquire(&process->lock);
    enum status status = handle_table_get(&process->handles, number, kind, handle);
    if (status == STATUS_OK && counted(handle)) {
        object_acquire(counted(handle));
    }
    lock_release(&process->lock);
    return status == STATUS_OK && kind == HANDLE_CONTAINER ? container_handle_check(handle)
                                                           : status;
}

enum status process_handle_take_channels(struct process *process, const uint64_t numbers[2],
                                         struct channel *channels[2])
{
    struct handle handles[2];

    lock_acquire(&process->lock);
    enum status status =
        handle_table_get(&process->handles, numbers[0], HANDLE_CHANNEL, &handles[0]);
    if (status == STATUS_OK) {
        status = handle_table_get(&process->handles, numbers[1], HANDLE_CHANNEL, &handles[1]);
    }
    if (status == STATUS_OK) {
        for (uint32_t i = 0; i < 2; i++) {
            channels[i] = handles[i].object;
            object_acquire(&channels[i]->object);
        }
    }
    lock_release(&process->lock);
    return status;
}

enum status process_handle_take_any(struct process *process, uint64_t number, struct handle *handle)
{
    static const enum handle_kind passable[] = {HANDLE_CHANNEL, HANDLE_MODULE, HANDLE_CONTAINER};
    enum status status = STATUS_DENIED;

    for (uint32_t i = 0; status == STATUS_DENIED && i < ARRAY_COUNT(passable); i++) {
        status = process_handle_take(process, number, passable[i], handle);
    }
    return status;
}

struct handle container_handle(uint32_t id)
{
    struct container container = container_get(&kernel_containers, id);

    return (struct handle){HANDLE_CONTAINER, {.value = id | (uint64_t)container.generation << 32}};
}

// -- closing --------------------------------------------------------------------------------------

// Drops what a closed handle held.
static void let_go(struct process *process, const struct handle *handle)
{
    if (handle->kind == HANDLE_CHANNEL) {
        channel_unbind(handle->object, process);
    } else if (handle->kind == HANDLE_PROCESS) {
        process_unwatch(handle->object, process);
    }
    handle_release(handle);
}

// vCPUs may refuse to go while they run.
static enum status release_virtual(const struct handle *handle)
{
    return handle->kind == HANDLE_VCPU ? vcpu_release(handle->object) : STATUS_OK;
}

enum status process_handle_close(struct process *process, uint64_t number)
{
    struct handle handle = {HANDLE_NONE, {NULL}};
    enum status status = STATUS_NOT_FOUND;

    if (number < HANDLE_FIRST_PASSED) {
        return STATUS_INVALID;
    }
    lock_acquire(&process->lock);
    if (number < HANDLE_MAXIMUM) {
        status = release_virtual(&process->handles.entries[number]);
    }
    if (status == STATUS_OK) {
        status = handle_table_remove(&process->handles, number, &handle);
    }
    lock_release(&process->lock);
    if (status == STATUS_OK) {
        let_go(process, &handle);
    }
    return status;
}

static void close_kind(struct process *process, bool vcpus)
{
    struct handle handle;

    for (uint32_t number = 0; number < HANDLE_MAXIMUM; number++) {
        enum handle_kind kind = process->handles.entries[number].kind;

        if (kind == HANDLE_NONE || (vcpus && kind != HANDLE_VCPU)) {
            continue;
        }
        ASSERT(release_virtual(&process->handles.entries[number]) == STATUS_OK);
        ASSERT(handle_table_remove(&process->handles, number, &handle) == STATUS_OK);
        let_go(process, &handle);
    }
}

void process_close_all_handles(struct process *process)
{
    close_kind(process, true);
    close_kind(process, false);
}
