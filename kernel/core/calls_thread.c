// SPDX-License-Identifier: MIT
// System calls about threads, events and memory.
#include "kernel/core/calls.h"
#include "kernel/core/assert.h"
#include "kernel/memory/container.h"

SYSTEM_CALL(sys_null)
{
    return 0;
}

SYSTEM_CALL(sys_process_exit)
{
    const struct process_status status = {.code = a};

    process_kill(current_process(), &status);
    return 0; // the way back to ring 3 ends here
}

SYSTEM_CALL(sys_thread_create)
{
    struct process *process = current_process();
    struct thread *thread;
    uint32_t number;
    enum status status = process_add_thread(process, a, b, c, &thread);

    if (status != STATUS_OK) {
        return call_error(status);
    }
    status = process_handle_add(process, HANDLE_THREAD, thread, &number);
    if (status != STATUS_OK) {
        thread_kill(thread); // it is of this CPU and has not run yet
        object_release(&thread->object);
        return call_error(status);
    }
    return number;
}

SYSTEM_CALL(sys_thread_exit)
{
    thread_exit();
}

SYSTEM_CALL(sys_thread_yield)
{
    thread_yield();
    return 0;
}

SYSTEM_CALL(sys_event_wait)
{
    return (int64_t)thread_sleep_until_event(a ? a : DEADLINE_NONE);
}

SYSTEM_CALL(sys_event_signal)
{
    struct handle handle;

    if (b & ~THREAD_EVENT_MASK) {
        return call_error(STATUS_INVALID);
    }
    enum status status = process_handle_take(current_process(), a, HANDLE_THREAD, &handle);
    if (status == STATUS_OK) {
        thread_signal(handle.object, b);
        handle_release(&handle);
    }
    return call_error(status);
}

SYSTEM_CALL(sys_memory_allocate)
{
    uint64_t address = 0;
    enum status status = address_space_allocate(caller_space(), a, USER_WRITE, &address);

    return status == STATUS_OK ? (int64_t)address : call_error(status);
}

SYSTEM_CALL(sys_memory_free)
{
    return call_error(address_space_free(caller_space(), a, b, REGION_MEMORY));
}

// Looks up a container's id through its handle.
static enum status take_container(uint64_t number, uint32_t *container)
{
    struct handle handle;
    enum status status = process_handle_take(current_process(), number, HANDLE_CONTAINER, &handle);

    if (status == STATUS_OK) {
        *container = (uint32_t)handle.value;
    }
    return status;
}

SYSTEM_CALL(sys_container_split)
{
    struct process *process = current_process();
    uint32_t parent;
    uint32_t child;
    uint32_t number;
    enum status status = take_container(a, &parent);

    if (status == STATUS_OK) {
        status = container_split(&kernel_containers, parent, b, &child);
    }
    if (status != STATUS_OK) {
        return call_error(status);
    }
    status = process_handle_add(process, HANDLE_CONTAINER,
                                (void *)(uintptr_t)container_handle(child).value, &number);
    if (status != STATUS_OK) {
        ASSERT(container_revoke(&kernel_containers, child) == STATUS_OK);
        return call_error(status);
    }
    return number;
}

SYSTEM_CALL(sys_container_info)
{
    struct container copy;
    uint32_t container;
    enum status status = take_container(a, &container);

    if (status == STATUS_OK && !container_get(&kernel_containers, container, &copy)) {
        status = STATUS_DEAD;
    }
    if (status != STATUS_OK) {
        return call_error(status);
    }
    const struct container_info info = {copy.quota, copy.usage, copy.children};
    return call_error(copy_to_user(caller_space(), b, &info, sizeof(info)));
}

SYSTEM_CALL(sys_container_revoke)
{
    struct process *process = current_process();
    uint32_t container;
    enum status status = take_container(a, &container);

    if (status == STATUS_OK &&
        (a == HANDLE_SELF_CONTAINER ||
         container_is_within(&kernel_containers, process->container, container))) {
        status = STATUS_INVALID;
    }
    if (status == STATUS_OK) {
        status = process_destroy_within(container);
    }
    if (status == STATUS_OK) {
        status = container_revoke_all(&kernel_containers, container);
    }
    if (status == STATUS_OK) {
        status = process_handle_close(process, a);
    }
    return call_error(status);
}
