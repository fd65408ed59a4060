// SPDX-License-Identifier: MIT
// Making and ending VMs. Every page a VM uses belongs to its container, so that ending it is one
// revocation, and the pages counted before and after must agree. Called by the console process's
// one thread.
#include "vmm/console/vm_table.h"

#include "kernel/lib/address.h"
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/runtime/tsc.h"
#include "vmm/runtime/system_call.h"

#define STOP_PATIENCE 2000000u // microseconds that a monitor has to answer MESSAGE_STOP

const char *vm_reason_name(uint32_t reason)
{
    static const char *const names[] = {
        [END_POWER_OFF] = "power-off",
        [END_TEST_EXIT] = "test-exit",
        [END_RESET] = "reset",
        [END_STOPPED] = "stopped",
        [END_BAD_IMAGE] = "bad-image",
        [END_BAD_CONFIG] = "bad-config",
        [END_TRIPLE_FAULT] = "triple-fault",
        [END_ENTRY_REFUSED] = "entry-refused",
        [END_UNHANDLED] = "unhandled-exit",
        [END_MONITOR_FAULT] = "monitor-fault",
        [END_HALTED] = "halted",
        [END_NO_PROGRESS] = "no-progress",
    };

    return reason < ARRAY_COUNT(names) ? names[reason] : "unknown";
}

// Pages of a VM's container: its memory, its page tables twice (the monitor's and the guest's, at
// worst with small pages), and the monitor with what belongs to it.
static uint64_t pages_for(const struct config_vm *config)
{
    uint64_t pages = config->memory / PAGE_SIZE;

    return pages + pages / 128 + 2048;
}

static uint64_t own_used_pages(void)
{
    struct container_info own = {0};

    if (container_info_get(HANDLE_SELF_CONTAINER, &own) != STATUS_OK) {
        return 0;
    }
    return own.used_pages;
}

static void tell_start_failure(struct console *console, struct vm *vm, const char *what,
                               enum status status)
{
    struct container_info own = {0};
    char why[CONSOLE_WHY];

    if (container_info_get(HANDLE_SELF_CONTAINER, &own) != STATUS_OK) {
        own = (struct container_info){0};
    }
    (void)format_text(why, sizeof(why),
                      "%s: %s; it needs %llu MiB of memory in all, the machine has %llu MiB free",
                      what, status_name(status), (unsigned long long)(pages_for(vm->config) >> 8),
                      (unsigned long long)((own.quota_pages - own.used_pages) >> 8));
    vm_end(console, vm, END_BAD_CONFIG, RUN_USAGE, why);
}

static enum status make_channels(struct vm *vm)
{
    int64_t to_vm = channel_create();
    int64_t from_vm = channel_create();

    if (to_vm >= 0) {
        vm->to_vm = (uint32_t)to_vm;
    }
    if (from_vm >= 0) {
        vm->from_vm = (uint32_t)from_vm;
    }
    if (to_vm < 0 || from_vm < 0) {
        return call_status(to_vm < 0 ? to_vm : from_vm);
    }
    return channel_bind(vm->from_vm, EVENT_VM + 2 * (vm->number - 1));
}

static enum status make_process(struct console *console, struct vm *vm)
{
    struct process_arguments arguments = {
        .module = console->monitor_module,
        .container = vm->container,
        .handle_count = 2 + vm->module_count,
        .handles = {vm->from_vm, vm->to_vm},
        .arguments = user_address(vm->config->section.start),
        .argument_bytes = vm->config->section.length,
    };
    int64_t process;

    memcpy(&arguments.handles[2], vm->modules, vm->module_count * sizeof(vm->modules[0]));
    process = process_create(&arguments);
    if (process < 0) {
        return call_status(process);
    }
    vm->process = (uint32_t)process;
    return process_bind(vm->process, EVENT_VM + 2 * (vm->number - 1) + 1);
}

void vm_start(struct console *console, struct vm *vm)
{
    uint64_t used_before = own_used_pages();
    int64_t container;
    enum status status;

    vm->pages = 0;
    vm->input_before = vm->input_sent;
    vm->state = VM_RUNNING;
    vm->container = vm->process = vm->to_vm = vm->from_vm = 0;
    vm->process_event = vm->message_ready = false;
    vm->stop_deadline = 0;
    vm->controls = 0;
    container = container_split(HANDLE_SELF_CONTAINER, pages_for(vm->config), vm->config->weight);
    if (container < 0) {
        tell_start_failure(console, vm, "its memory", call_status(container));
        return;
    }
    vm->container = (uint32_t)container;
    status = make_channels(vm);
    if (status == STATUS_OK) {
        status = make_process(console, vm);
    }
    vm->pages = own_used_pages() - used_before;
    if (status != STATUS_OK) {
        tell_start_failure(console, vm, "its monitor", status);
        return;
    }
    console_machine_line(console, "vm %u %.*s started", vm->number, (int)vm->config->name.length,
                         vm->config->name.start);
}

// Closes everything that belongs to the VM. A handle of 0 was never made.
static void release(struct console *console, struct vm *vm)
{
    enum status status = STATUS_OK;

    if (vm->process) {
        status = process_destroy(vm->process);
    }
    if (vm->container && status == STATUS_OK) {
        status = container_revoke(vm->container);
    }
    if (vm->from_vm) {
        (void)handle_close(vm->from_vm);
    }
    if (vm->to_vm) {
        (void)handle_close(vm->to_vm);
    }
    if (status != STATUS_OK) {
        console_log(console, "console: vm %u could not be taken apart: %s", vm->number,
                    status_name(status));
    }
    vm->container = vm->process = vm->to_vm = vm->from_vm = 0;
}

// What came back must be what it took, to the page.
static void count_pages(struct console *console, struct vm *vm, uint64_t used)
{
    uint64_t returned = used - own_used_pages();

    if (returned == vm->pages) {
        console_log(console, "vm %u: all its memory is back, %llu pages", vm->number,
                    (unsigned long long)returned);
    } else {
        console_log(console, "vm %u: memory is missing: it took %llu pages and returned %llu",
                    vm->number, (unsigned long long)vm->pages, (unsigned long long)returned);
    }
}

void vm_end(struct console *console, struct vm *vm, uint32_t reason, uint32_t status,
            const char *why)
{
    uint64_t used = own_used_pages();
    bool restart = reason == END_RESET && vm->config->restart_on_reset && !console->ending;

    if (vm->state == VM_ENDED) {
        return;
    }
    release(console, vm);
    vm->state = VM_ENDED;
    vm->reason = reason;
    vm->status = status;
    console_log(console, "vm %u %.*s ended: %s, status %u%s%s", vm->number,
                (int)vm->config->name.length, vm->config->name.start, vm_reason_name(reason),
                status, why[0] ? ": " : "", why);
    console_machine_line(console, "vm %u %.*s ended %s %u", vm->number,
                         (int)vm->config->name.length, vm->config->name.start,
                         vm_reason_name(reason), status);
    count_pages(console, vm, used);
    if (!console->mux.log_on_terminal) {
        char text[CONSOLE_WHY + 128];

        (void)format_text(text, sizeof(text), "[gatehouse] vm %u %.*s ended: %s%s%s", vm->number,
                          (int)vm->config->name.length, vm->config->name.start,
                          vm_reason_name(reason), why[0] ? ": " : "", why);
        mux_notice(&console->mux, text);
    }
    if (restart) {
        vm->restarts++;
        vm_start(console, vm);
    }
}

void vm_control(struct vm *vm, uint32_t type)
{
    vm->controls |= 1u << (type - MESSAGE_PAUSE);
}

void vm_stop(struct console *console, struct vm *vm)
{
    if (vm->state == VM_ENDED || vm->stop_deadline != 0) {
        return;
    }
    vm_control(vm, MESSAGE_STOP);
    vm->stop_deadline = tsc_now() + tsc_ticks(console->info->tsc_hz, STOP_PATIENCE);
}

static void check_process(struct console *console, struct vm *vm)
{
    struct process_status status = {0};
    char why[CONSOLE_WHY];

    if (process_status_get(vm->process, &status) != STATUS_OK || !status.ended) {
        return;
    }
    vm->message_ready = true;
    vm_take_messages(console, vm); // its last words
    if (vm->state == VM_ENDED || vm->message_ready) {
        return;
    }
    if (status.faulted) {
        (void)format_text(why, sizeof(why),
                          "its monitor died of exception %llu at 0x%llx, address 0x%llx",
                          (unsigned long long)status.vector, (unsigned long long)status.fault_rip,
                          (unsigned long long)status.fault_address);
    } else {
        (void)format_text(why, sizeof(why), "its monitor exited with code 0x%llx",
                          (unsigned long long)status.code);
    }
    vm_end(console, vm, END_MONITOR_FAULT, RUN_UNHANDLED, why);
}

void vm_check(struct console *console, struct vm *vm)
{
    if (vm->state != VM_ENDED && vm->process_event) {
        check_process(console, vm);
    }
    if (vm->state != VM_ENDED && vm->stop_deadline != 0 && tsc_now() > vm->stop_deadline) {
        vm_end(console, vm, END_STOPPED, 0, "its monitor did not answer and was killed");
    }
}

// The handle of the boot module called `name`, or 0.
static uint32_t find_module(struct console *console, struct config_text name)
{
    for (uint32_t index = 0; index < console->info->module_count; index++) {
        struct module_info info;
        int64_t handle = module_open(index, &info);

        if (handle < 0) {
            continue;
        }
        info.name[sizeof(info.name) - 1] = '\0';
        if (config_text_is(name, info.name)) {
            return (uint32_t)handle;
        }
        (void)handle_close((uint32_t)handle);
    }
    return 0;
}

static bool add_module(struct console *console, struct vm *vm, struct config_text name)
{
    uint32_t handle = find_module(console, name);
    char why[CONSOLE_WHY];

    if (handle == 0) {
        (void)format_text(why, sizeof(why), "the boot module %.*s is missing", (int)name.length,
                          name.start);
        vm_end(console, vm, END_BAD_CONFIG, RUN_USAGE, why);
        return false;
    }
    vm->modules[vm->module_count++] = handle;
    return true;
}

static bool find_modules(struct console *console, struct vm *vm)
{
    const struct config_vm *config = vm->config;
    bool found = add_module(console, vm, config->kernel);

    if (found && config->initrd.length > 0) {
        found = add_module(console, vm, config->initrd);
    }
    for (uint32_t i = 0; found && i < config->module_count; i++) {
        found = add_module(console, vm, config->modules[i].module);
    }
    return found;
}

void vm_table_start(struct console *console)
{
    for (unsigned i = 0; i < console->vm_count; i++) {
        struct vm *vm = &console->vms[i];

        if (find_modules(console, vm)) {
            vm_start(console, vm);
        }
    }
}
