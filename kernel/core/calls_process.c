// SPDX-License-Identifier: MIT
// System calls about modules, processes, channels and handles.
#include "kernel/core/calls.h"
#include "kernel/ipc/channel.h"
#include "kernel/process/module.h"

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
    struct process *process = current_process();
    uint32_t number;

    if (!process->is_root) {
        return call_error(STATUS_DENIED);
    }
    enum status status = describe_module(a, b);
    if (status == STATUS_OK) {
        status = process_handle_add(process, HANDLE_MODULE, (void *)(uintptr_t)a, &number);
    }
    return status == STATUS_OK ? number : call_error(status);
}

static enum status take_module(uint64_t number, uint32_t *module)
{
    struct handle handle;
    enum status status = process_handle_take(current_process(), number, HANDLE_MODULE, &handle);

    if (status == STATUS_OK) {
        *module = (uint32_t)handle.value;
    }
    return status;
}

SYSTEM_CALL(sys_module_info)
{
    uint32_t module;
    enum status status = take_module(a, &module);

    return call_error(status == STATUS_OK ? describe_module(module, b) : status);
}

SYSTEM_CALL(sys_module_map)
{
    uint32_t module;
    uint64_t address = 0;
    enum status status = take_module(a, &module);

    if (status == STATUS_OK) {
        status = address_space_map_borrowed(caller_space(), module_start(module),
                                            align_up(module_bytes(module), PAGE_SIZE), USER_READ,
                                            &address);
    }
    return status == STATUS_OK ? (int64_t)address : call_error(status);
}

// -- processes ------------------------------------------------------------------------------------

// The handles that a new process gets, each with a reference.
struct passed_handles {
    struct handle handles[HANDLES_PASSED_MAXIMUM];
    uint32_t count;
};

static void drop_passed(const struct passed_handles *passed)
{
    for (uint32_t i = 0; i < passed->count; i++) {
        handle_release(&passed->handles[i]);
    }
}

static enum status take_passed(const struct process_arguments *arguments,
                               struct passed_handles *passed)
{
    passed->count = 0;
    while (passed->count < arguments->handle_count) {
        enum status status = process_handle_take_any(
            current_process(), arguments->handles[passed->count], &passed->handles[passed->count]);
        if (status != STATUS_OK) {
            drop_passed(passed);
            return status;
        }
        passed->count++;
    }
    return STATUS_OK;
}

// Reads and checks what does not need a look-up.
static enum status read_arguments(uint64_t user, struct process_arguments *arguments,
                                  uint8_t bytes[PROCESS_ARGUMENTS_MAXIMUM])
{
    enum status status = copy_from_user(caller_space(), arguments, user, sizeof(*arguments));

    if (status != STATUS_OK) {
        return status;
    }
    if (arguments->priority >= PRIORITY_COUNT || arguments->handle_count > HANDLES_PASSED_MAXIMUM ||
        arguments->argument_bytes > PROCESS_ARGUMENTS_MAXIMUM ||
        arguments->priority > current_process()->priority) {
        return STATUS_INVALID;
    }
    return copy_from_user(caller_space(), bytes, arguments->arguments, arguments->argument_bytes);
}

static enum status create(const struct process_arguments *arguments, const uint8_t *bytes,
                          const struct passed_handles *passed, struct process **created)
{
    struct process *process = current_process();
    struct handle container;
    struct process_options options = {
        .struct_container = process->container,
        .priority = arguments->priority,
        .passed = passed->handles,
        .passed_count = passed->count,
        .arguments = bytes,
        .argument_bytes = (uint32_t)arguments->argument_bytes,
    };
    enum status status = take_module(arguments->module, &options.module);

    if (status == STATUS_OK) {
        status = process_handle_take(process, arguments->container, HANDLE_CONTAINER, &container);
    }
    if (status != STATUS_OK) {
        return status;
    }
    options.container = (uint32_t)container.value;
    return process_create(&options, created);
}

SYSTEM_CALL(sys_process_create)
{
    const struct process_status unwanted = {.code = 0};
    struct process_arguments arguments;
    struct passed_handles passed;
    uint8_t bytes[PROCESS_ARGUMENTS_MAXIMUM];
    struct process *created;
    uint32_t number;
    enum status status = read_arguments(a, &arguments, bytes);

    if (status == STATUS_OK) {
        status = take_passed(&arguments, &passed);
    }
    if (status != STATUS_OK) {
        return call_error(status);
    }
    status = create(&arguments, bytes, &passed, &created);
    if (status != STATUS_OK) {
        drop_passed(&passed);
        return call_error(status);
    }
    status = process_handle_add(current_process(), HANDLE_PROCESS, created, &number);
    if (status != STATUS_OK) {
        process_kill(created, &unwanted);
        object_release(&created->object);
        return call_error(status);
    }
    return number;
}

SYSTEM_CALL(sys_process_bind)
{
    struct handle handle;

    if (b >= EVENT_BIT_LIMIT) {
        return call_error(STATUS_INVALID);
    }
    enum status status = process_handle_take(current_process(), a, HANDLE_PROCESS, &handle);
    if (status == STATUS_OK) {
        process_watch(handle.object, (uint32_t)b);
        handle_release(&handle);
    }
    return call_error(status);
}

SYSTEM_CALL(sys_process_status)
{
    struct handle handle;
    enum status status = process_handle_take(current_process(), a, HANDLE_PROCESS, &handle);

    if (status == STATUS_OK) {
        struct process_status result;

        process_get_status(handle.object, &result);
        handle_release(&handle);
        status = copy_to_user(caller_space(), b, &result, sizeof(result));
    }
    return call_error(status);
}

SYSTEM_CALL(sys_process_destroy)
{
    struct handle handle;
    enum status status = process_handle_take(current_process(), a, HANDLE_PROCESS, &handle);

    if (status == STATUS_OK) {
        status = process_destroy(handle.object);
        handle_release(&handle);
    }
    if (status == STATUS_OK) {
        status = process_handle_close(current_process(), a);
    }
    return call_error(status);
}

// -- channels and handles -------------------------------------------------------------------------

SYSTEM_CALL(sys_channel_create)
{
    struct process *process = current_process();
    struct channel *channel = channel_create(process->container);
    uint32_t number;

    if (!channel) {
        return call_error(STATUS_QUOTA);
    }
    enum status status = process_handle_add(process, HANDLE_CHANNEL, channel, &number);
    if (status != STATUS_OK) {
        object_release(&channel->object);
        return call_error(status);
    }
    return number;
}

static int64_t send(uint64_t number, uint64_t buffer, uint64_t bytes, bool wait)
{
    struct handle handle;
    enum status status = process_handle_take(current_process(), number, HANDLE_CHANNEL, &handle);

    if (status == STATUS_OK) {
        status = channel_send(handle.object, caller_space(), buffer, bytes, wait);
        handle_release(&handle);
    }
    return status == STATUS_OK ? (int64_t)bytes : call_error(status);
}

SYSTEM_CALL(sys_channel_send)
{
    return send(a, b, c, true);
}

SYSTEM_CALL(sys_channel_try_send)
{
    return send(a, b, c, false);
}

SYSTEM_CALL(sys_channel_receive)
{
    struct handle handle;
    uint64_t count = 0;
    enum status status = process_handle_take(current_process(), a, HANDLE_CHANNEL, &handle);

    if (status == STATUS_OK) {
        status = channel_receive(handle.object, caller_space(), b, c, &count);
        handle_release(&handle);
    }
    return status == STATUS_OK ? (int64_t)count : call_error(status);
}

SYSTEM_CALL(sys_channel_bind)
{
    struct handle handle;

    if (b >= EVENT_BIT_LIMIT) {
        return call_error(STATUS_INVALID);
    }
    enum status status = process_handle_take(current_process(), a, HANDLE_CHANNEL, &handle);
    if (status == STATUS_OK) {
        channel_bind(handle.object, (uint32_t)b);
        handle_release(&handle);
    }
    return call_error(status);
}

SYSTEM_CALL(sys_handle_close)
{
    return call_error(process_handle_close(current_process(), a));
}
