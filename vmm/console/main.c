// SPDX-License-Identifier: MIT
// The console process: reads the configuration, starts the VMs, and then does what events ask for
// until the last VM has ended. The one place where it sleeps is console_loop.
#include "vmm/console/console.h"

#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/console/command.h"
#include "vmm/console/no_vms.h"
#include "vmm/console/vm_table.h"
#include "vmm/runtime/cpuid.h"
#include "vmm/runtime/tsc.h"
#include "vmm/runtime/program.h"
#include "vmm/runtime/system_call.h"

#define RETRY_AFTER 1000u   // microseconds until a taken channel slot is tried again
#define FLUSH_AFTER 300000u // microseconds that a line of ours waits for the end of the guest's

static struct console the_console;

static void report_failure(const char *text)
{
    console_log(&the_console, "console: %s", text);
    console_end(&the_console, RUN_HOST_PANIC);
}

// Pieces of memory for the rings; the process ends without them.
static uint8_t *ring_memory(size_t size)
{
    int64_t address = memory_allocate(size);

    ASSERT(address > 0);
    return (uint8_t *)(uintptr_t)address;
}

// Ends the run before a VM started. The reason goes to the log, and to a person at the terminal.
static NORETURN void refuse(struct console *console, uint32_t status, const char *text)
{
    char line[LINE_MAXIMUM + 1];

    console->mux.raw &= console->log_port; // else nobody would see the reason
    console_log(console, "gatehouse: %s", text);
    if (console->log_port) {
        (void)format_text(line, sizeof(line), "gatehouse: %s", text);
        mux_notice(&console->mux, line);
    }
    console_end(console, status);
}

static void start_ports(struct console *console)
{
    mux_init(&console->mux, false, ring_memory(MUX_SCROLLBACK));
    ring_init(&console->log_queue, console->log_memory, sizeof(console->log_memory));
    console->log_port = serial_bind(CONSOLE_PORT_LOG, EVENT_LOG_INPUT, EVENT_LOG_SENT) == STATUS_OK;
    console->mux.log_on_terminal = !console->log_port;
    if (serial_bind(CONSOLE_PORT_TERMINAL, EVENT_TERMINAL_INPUT, EVENT_TERMINAL_SENT) !=
        STATUS_OK) {
        console_log(console, "console: there is no first serial port");
    }
    if (log_bind(EVENT_KERNEL_LOG) != STATUS_OK) {
        console_log(console, "console: the kernel log cannot be followed");
    }
}

// Opens the boot module called `name`; ends the run when it is missing.
static uint32_t open_module(struct console *console, const char *name, struct module_info *info)
{
    char text[LINE_MAXIMUM];

    for (uint32_t index = 0; index < console->info->module_count; index++) {
        int64_t handle = module_open(index, info);

        if (handle >= 0 && strcmp(info->name, name) == 0) {
            return (uint32_t)handle;
        }
        if (handle >= 0) {
            (void)handle_close((uint32_t)handle);
        }
    }
    (void)format_text(text, sizeof(text), "the boot module \"%s\" is missing among %u modules",
                      name, console->info->module_count);
    refuse(console, RUN_USAGE, text);
}

static void read_config(struct console *console)
{
    struct module_info info;
    struct config_error error;
    char text[LINE_MAXIMUM];
    int64_t address = module_map(open_module(console, "config", &info));

    if (address < 0) {
        refuse(console, RUN_HOST_PANIC, "the configuration cannot be mapped");
    }
    if (config_parse((const char *)(uintptr_t)address, info.bytes, &console->config, &error) !=
        STATUS_OK) {
        (void)format_text(text, sizeof(text), "configuration, line %u: %s", error.line,
                          error.message);
        refuse(console, RUN_USAGE, text);
    }
    console->mux.raw = console->config.raw;
    console->escape.enabled = console->config.escape && !console->config.raw;
}

static void make_vms(struct console *console)
{
    for (unsigned i = 0; i < console->config.vm_count; i++) {
        struct vm *vm = &console->vms[i];

        vm->config = &console->config.vms[i];
        vm->number = mux_add(&console->mux, ring_memory(MUX_SCROLLBACK));
        ring_init(&vm->input, ring_memory(CONSOLE_INPUT_QUEUE), CONSOLE_INPUT_QUEUE);
        if (vm->config->section.length > PROCESS_ARGUMENTS_MAXIMUM) {
            refuse(console, RUN_USAGE, "configuration: a VM's section is longer than 2048 bytes");
        }
    }
    console->vm_count = console->config.vm_count;
}

// Tells how many bytes have arrived in all, so that a sender which never has more than the port's
// FIFO under way cannot overrun it.
static void take_terminal_input(struct console *console)
{
    uint8_t buffer[256];
    uint64_t before = console->typed;

    for (;;) {
        int64_t length = serial_read(CONSOLE_PORT_TERMINAL, buffer, sizeof(buffer));

        if (length <= 0) {
            break;
        }
        console->typed += (uint64_t)length;
        command_take_input(console, buffer, (size_t)length);
    }
    if (console->typed != before) {
        console_machine_line(console, "typed %llu", (unsigned long long)console->typed);
    }
    if (serial_lost(CONSOLE_PORT_TERMINAL) != console->lost) {
        console->lost = serial_lost(CONSOLE_PORT_TERMINAL);
        console_log(console, "console: %lld typed characters were lost: they came too fast",
                    (long long)console->lost);
    }
}

// What a script may ask for through the second serial port: "stop" ends all VMs, with their
// reports.
static void take_script_input(struct console *console)
{
    uint8_t buffer[64];

    for (;;) {
        int64_t length = serial_read(CONSOLE_PORT_LOG, buffer, sizeof(buffer));

        if (length <= 0) {
            return;
        }
        for (int64_t i = 0; i < length; i++) {
            if (line_take(&console->script_line, buffer[i]) &&
                strcmp(console->script_line.text, "stop") == 0) {
                command_end_run(console);
            }
        }
    }
}

// The earlier of two TSC deadlines, of which 0 is none.
static uint64_t earlier(uint64_t left, uint64_t right)
{
    if (left == 0 || right == 0) {
        return left | right;
    }
    return left < right ? left : right;
}

// True when something waits that no event will announce.
static bool has_more(struct console *console, struct vm *vm)
{
    bool waits = vm_send_waiting(vm);

    return waits || (vm->state != VM_ENDED && vm->message_ready &&
                     mux_room(&console->mux, vm->number) >= MESSAGE_MAXIMUM);
}

// Serves every VM once. Returns the TSC at which something has to be tried again; 0: never.
static uint64_t serve_vms(struct console *console, uint64_t events)
{
    uint64_t again = tsc_now() + tsc_ticks(console->info->tsc_hz, RETRY_AFTER);
    uint64_t deadline = 0;

    for (unsigned i = 0; i < console->vm_count; i++) {
        struct vm *vm = &console->vms[i];
        uint64_t bits = events >> (EVENT_VM + 2 * i) & 3;

        vm->message_ready |= (bits & 1) != 0;
        vm->process_event |= (bits & 2) != 0;
        vm_take_messages(console, vm);
        vm_check(console, vm);
        if (has_more(console, vm)) {
            deadline = earlier(deadline, again);
        }
        if (vm->state != VM_ENDED) {
            deadline = earlier(deadline, vm->stop_deadline);
        }
    }
    return deadline;
}

// Our lines wait for the end of the guest's line, but not for ever.
static uint64_t flush_late_lines(struct console *console, uint64_t deadline)
{
    if (!mux_waiting(&console->mux)) {
        console->flush_deadline = 0;
        return deadline;
    }
    if (console->flush_deadline == 0) {
        console->flush_deadline = tsc_now() + tsc_ticks(console->info->tsc_hz, FLUSH_AFTER);
    } else if (tsc_now() >= console->flush_deadline) {
        mux_flush(&console->mux);
        console->flush_deadline = 0;
        return deadline;
    }
    return deadline != 0 && deadline < console->flush_deadline ? deadline : console->flush_deadline;
}

// The run's status once every VM has ended: the first that is not 0, in the configuration's order.
static bool all_ended(const struct console *console, uint32_t *status)
{
    *status = 0;
    for (unsigned i = 0; i < console->vm_count; i++) {
        if (console->vms[i].state != VM_ENDED) {
            return false;
        }
        if (*status == 0) {
            *status = console->vms[i].status;
        }
    }
    return true;
}

static NORETURN void console_loop(struct console *console)
{
    uint64_t events = ~0ull;
    uint32_t status = 0;

    for (;;) {
        uint64_t deadline;

        if (events & (1ull << EVENT_KERNEL_LOG)) {
            console_take_kernel_log(console);
        }
        if (events & (1ull << EVENT_TERMINAL_INPUT)) {
            take_terminal_input(console);
        }
        if (events & (1ull << EVENT_LOG_INPUT)) {
            take_script_input(console);
        }
        deadline = serve_vms(console, events);
        deadline = flush_late_lines(console, deadline);
        console_push(console);
        if (all_ended(console, &status)) {
            console_end(console, status);
        }
        events = event_wait(deadline);
    }
}

// "CPUID - CPU Identification": leaf 1, ECX bit 31, then the signature of who sets it.
static NORETURN void refuse_without_vms(struct console *console)
{
    struct cpuid_words leaf = cpuid_host(0x40000000, 0);
    const uint32_t signature[] = {leaf.ebx, leaf.ecx, leaf.edx};
    char hypervisor[sizeof(signature) + 1] = "";
    char text[LINE_MAXIMUM];

    if ((cpuid_host(1, 0).ecx >> 31) != 0) {
        memcpy(hypervisor, signature, sizeof(signature));
    }
    no_vms_explain(&console->info->vm_support, hypervisor, text, sizeof(text));
    refuse(console, RUN_NO_VMX, text);
}

int64_t program_main(const struct process_info *info)
{
    struct console *console = &the_console;
    struct module_info module;

    console->info = info;
    start_ports(console);
    program_failure_report = report_failure;
    console_take_kernel_log(console);
    read_config(console);
    if (info->vm_support.lack != VM_LACKS_NOTHING) {
        refuse_without_vms(console);
    }
    console->monitor_module = open_module(console, "monitor", &module);
    make_vms(console);
    console_machine_line(console, "ready");
    if (console->escape.enabled) {
        mux_notice(&console->mux, "[gatehouse] Ctrl-A h for help");
    }
    vm_table_start(console);
    console_loop(console);
}
