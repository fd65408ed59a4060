// SPDX-License-Identifier: MIT
// System calls about modules, processes, channels and handles.
#include "kernel/core/assert.h"
#include "kernel/core/calls.h"
#include "kernel/ipc/channel.h"
#include "kernel/memory/container.h"
#include "kernel/process/module.h"

int64_t call_new_handle(enum handle_kind kind, void *object)
{
    const struct process_status unwanted = {.code = 0};
    const struct handle handle = {kind, {object}};
    uint32_t number;
    enum status status = process_handle_add(current_process(), kind, object, &number);

    if (status == STATUS_OK) {
        return number;
    }
    if (kind == HANDLE_PROCESS) {
        process_kill(object, &unwanted);
    } else if (kind == HANDLE_THREAD) {
        thread_kill(object);
    } else if (kind == HANDLE_CONTAINER) {
        ASSERT(container_revoke(&kernel_containers, (uint32_t)handle.value) == STATUS_OK);
    }
    handle_release(&handle);
    return call_error(status);
}

// -- modules --------------------------------------------------------------------------------------

static enum status describe_module(uint64_t index, uint64_t user)
{
    struct module_info info;
    enum status status = module_describe(index, &info);

    if (status == STATUS_OK) {
        status = copy_to_user(caller_space(), user, &info, sizeof(info));
    }
    return status;
}

SYSTEM_CALL(sys_module_open)
{
    enum status status = describe_module(a, b);

    return status == STATUS_OK ? call_new_handle(HANDLE_MODULE, (void *)(uintptr_t)a)
                               : call_error(status);
}

HANDLE_CALL(sys_module_info)
{
    return call_error(describe_module(handle->value, b));
}

HANDLE_CALL(sys_module_map)
{
    uint32_t module = (uint32_t)handle->value;
    uint64_t address = 0;
    enum status status =
        address_space_map_borrowed(caller_space(), module_start(module),
                                   align_up(module_bytes(module), PAGE_SIZE), USER_READ, &address);

    return call_result(status, address);
}

// -- processes ------------------------------------------------------------------------------------

// Looks up the handles that the arguments name; the passed ones each with a reference.
static enum status take_handles(const struct process_arguments *arguments,
                                struct process_options *options)
{
    struct process *process = current_process();
    struct handle module;
    struct handle container;
    enum status status = process_handle_take(process, arguments->module, HANDLE_MODULE, &module);

    if (status == STATUS_OK) {
        status = process_handle_take(process, arguments->container, HANDLE_CONTAINER, &container);
    }
    if (status == STATUS_OK) {
        options->module = (uint32_t)module.value;
        options->container = container;
    }
    while (status == STATUS_OK && options->passed_count < arguments->handle_count) {
        uint32_t i = options->passed_count;

        status = process_handle_take_any(process, arguments->handles[i], &options->passed[i]);
        options->passed_count += status == STATUS_OK;
    }
    return status;
}

// Reads the arguments, and checks what does not need a look-up.
static enum status read_arguments(uint64_t user, struct process_arguments *arguments,
                                  struct process_options *options)
{
    enum status status = copy_from_user(caller_space(), arguments, user, sizeof(*arguments));

    if (status != STATUS_OK) {
        return status;
    }
    if (arguments->priority >= PRIORITY_COUNT || arguments->handle_count > HANDLES_PASSED_MAXIMUM ||
        arguments->argument_bytes > PROCESS_ARGUMENTS_MAXIMUM || arguments->cpu > CPU_MAXIMUM ||
        arguments->priority > current_process()->priority) {
        return STATUS_INVALID;
    }
    options->priority = arguments->priority;
    options->cpu = arguments->cpu > 0 ? arguments->cpu - 1 : CPU_ANY;
    options->argument_bytes = (uint32_t)arguments->argument_bytes;
    return copy_from_user(caller_space(), options->arguments, arguments->arguments,
                          arguments->argument_bytes);
}

SYSTEM_CALL(sys_process_create)
{
    struct process_options options = {.struct_container = current_process()->container};
    struct process_arguments arguments;
    struct process *created;
    enum status status = read_arguments(a, &arguments, &options);

    if (status == STATUS_OK) {
        status = take_handles(&arguments, &options);
    }
    if (status == STATUS_OK) {
        status = process_create(&options, &created);
    }
    if (status == STATUS_OK) {
        return call_new_handle(HANDLE_PROCESS, created);
    }
    while (options.passed_count > 0) {
        handle_release(&options.passed[--options.passed_count]);
    }
    return call_error(status);
}

HANDLE_CALL(sys_process_bind)
{
    if (b >= EVENT_BIT_LIMIT || handle->object == current_process()) {
        return call_error(STATUS_INVALID);
    }
    process_watch(handle->object, (uint32_t)b);
    return 0;
}

HANDLE_CALL(sys_process_status)
{
    struct process_status result;

    process_get_status(handle->object, &result);
    return call_error(copy_to_user(caller_space(), b, &result, sizeof(result)));
}

HANDLE_CALL(sys_process_destroy)
{
    enum status status = process_destroy(handle->object);

    if (status == STATUS_OK) {
        status = process_handle_close(current_process(), a);
    }
    return call_error(status);
}

// -- channels and handles -------------------------------------------------------------------------

SYSTEM_CALL(sys_channel_create)
{
    struct channel *channel = channel_create(current_process()->container);

    return channel ? call_new_handle(HANDLE_CHANNEL, channel) : call_error(STATUS_QUOTA);
}

HANDLE_CALL(sys_channel_send)
{
    return call_result(channel_send(handle->object, caller_space(), b, c, true), c);
}

HANDLE_CALL(sys_channel_try_send)
{
    return call_result(channel_send(handle->object, caller_space(), b, c, false), c);
}

HANDLE_CALL(sys_channel_receive)
{
    uint64_t count = 0;
    enum status status = channel_receive(handle->object, caller_space(), b, c, &count);

    return call_result(status, count);
}

SYSTEM_CALL(sys_channel_exchange)
{
    struct process *process = current_process();
    const uint64_t numbers[] = {a, d > 0 ? b : a};
    struct channel *channels[2];
    uint64_t count = 0;
    enum status status = process_handle_take_channels(process, numbers, channels);

    if (status == STATUS_OK) {
        status = channel_exchange(channels[0], channels[1], &process->space, c, d, e, &count);
        object_release(&channels[0]->object);
        object_release(&channels[1]->object);
    }
    return call_result(status, count);
}

HANDLE_CALL(sys_channel_bind)
{
    if (b >= EVENT_BIT_LIMIT) {
        return call_error(STATUS_INVALID);
    }
    channel_bind(handle->object, (uint32_t)b);
    return 0;
}

SYSTEM_CALL(sys_handle_close)
{
    return call_error(process_handle_close(current_process(), a));
}
