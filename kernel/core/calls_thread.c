// SPDX-License-Identifier: MIT
// System calls about threads, events and memory.
#include "kernel/core/assert.h"
#include "kernel/core/calls.h"
#include "kernel/memory/container.h"
#include "kernel/thread/scheduler.h"

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
    struct thread *thread;
    enum status status = STATUS_INVALID;

    if (d <= CPU_MAXIMUM) {
        status = process_add_thread(current_process(), a, b, c, d > 0 ? (uint32_t)d - 1 : CPU_ANY,
                                    &thread);
    }

    return status == STATUS_OK ? call_new_handle(HANDLE_THREAD, thread) : call_error(status);
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

HANDLE_CALL(sys_event_signal)
{
    if (b & ~THREAD_EVENT_MASK) {
        return call_error(STATUS_INVALID);
    }
    thread_signal(handle->object, b);
    return 0;
}

SYSTEM_CALL(sys_memory_allocate)
{
    uint64_t address = 0;
    enum status status = address_space_allocate(caller_space(), a, USER_WRITE, &address);

    return call_result(status, address);
}

SYSTEM_CALL(sys_memory_free)
{
    return call_error(address_space_free(caller_space(), a, b, REGION_MEMORY));
}

HANDLE_CALL(sys_container_split)
{
    if (c > SHARE_WEIGHT_MAXIMUM) {
        return call_error(STATUS_INVALID);
    }
    if (c > 0 && !current_process()->is_root) {
        return call_error(STATUS_DENIED); // or a program could multiply its share by splitting it
    }
    struct container_child child = container_split(&kernel_containers, (uint32_t)handle->value, b);
    if (child.status != STATUS_OK) {
        return call_error(child.status);
    }
    // A container that has a child is not revoked: it is still the one that the handle names.
    enum status status = container_handle_check(handle);
    if (status == STATUS_OK) {
        status = scheduler_set_share(child.id, (uint32_t)handle->value, (uint32_t)c);
    }
    if (status != STATUS_OK) {
        ASSERT(container_revoke(&kernel_containers, child.id) == STATUS_OK);
        return call_error(status);
    }
    return call_new_handle(HANDLE_CONTAINER, container_handle(child.id).object);
}

HANDLE_CALL(sys_container_info)
{
    struct container copy = container_get(&kernel_containers, (uint32_t)handle->value);

    if (!copy.used) {
        return call_error(STATUS_DEAD);
    }
    const struct container_info info = {copy.quota, copy.usage, copy.children};
    return call_error(copy_to_user(caller_space(), b, &info, sizeof(info)));
}

HANDLE_CALL(sys_container_revoke)
{
    struct process *process = current_process();
    uint32_t container = (uint32_t)handle->value;

    if (a == HANDLE_SELF_CONTAINER ||
        container_is_within(&kernel_containers, process->container, container)) {
        return call_error(STATUS_INVALID);
    }
    enum status status = process_destroy_within(container);
    if (status == STATUS_OK) {
        status = container_revoke_all(&kernel_containers, container);
    }
    if (status == STATUS_OK) {
        status = process_handle_close(process, a);
    }
    return call_error(status);
}
