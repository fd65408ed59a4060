// SPDX-License-Identifier: MIT
// The escape commands, one function each, in a table. Called by the console process's one thread.
#include "vmm/console/command.h"

#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/console/vm_table.h"

// The VM in front; null for the host log.
static struct vm *foreground(struct console *console)
{
    unsigned number = console->mux.foreground;

    return number == 0 ? NULL : &console->vms[number - 1];
}

static void tell(struct console *console, const char *format, ...) PRINTF(2, 3);
static void tell(struct console *console, const char *format, ...)
{
    char text[LINE_MAXIMUM + 1];
    va_list arguments;

    va_start(arguments, format);
    (void)format_text_va(text, sizeof(text), format, arguments);
    va_end(arguments);
    mux_notice(&console->mux, text);
}

// A running VM in front, or a notice that there is none.
static struct vm *live_foreground(struct console *console)
{
    struct vm *vm = foreground(console);

    if (!vm) {
        tell(console, "[gatehouse] this is the host log, not a VM");
        return NULL;
    }
    if (vm->state == VM_ENDED) {
        tell(console, "[gatehouse] vm %u has ended (%s)", vm->number, vm_reason_name(vm->reason));
        return NULL;
    }
    return vm;
}

static void do_help(struct console *console, uint8_t number)
{
    struct line line = {0};

    (void)number;
    for (const char *byte = escape_help(); *byte; byte++) {
        if (line_take(&line, (uint8_t)*byte)) {
            mux_notice(&console->mux, line.text);
        }
    }
}

static void do_console(struct console *console, uint8_t number)
{
    if (!mux_switch(&console->mux, number)) {
        tell(console, "[gatehouse] there is no console %u", number);
        return;
    }
    if (number == 0) {
        tell(console, "[gatehouse] console 0: host log");
    } else {
        const struct config_vm *config = console->vms[number - 1].config;

        tell(console, "[gatehouse] console %u: %.*s", number, (int)config->name.length,
             config->name.start);
    }
}

static void do_next(struct console *console, uint8_t number)
{
    number = (uint8_t)((console->mux.foreground + 1) % console->mux.count);
    do_console(console, number);
}

static const char *state_name(const struct vm *vm)
{
    switch (vm->state) {
    case VM_RUNNING:
        return "running";
    case VM_PAUSED:
        return "paused";
    case VM_ENDED:
        return vm_reason_name(vm->reason);
    }
    return "unknown";
}

static void do_list(struct console *console, uint8_t number)
{
    (void)number;
    tell(console, "[gatehouse] %c 0 host log", console->mux.foreground == 0 ? '*' : ' ');
    for (unsigned i = 0; i < console->vm_count; i++) {
        const struct vm *vm = &console->vms[i];

        tell(console, "[gatehouse] %c %u %-16.*s %-12s %llu MiB, %u restarts, %llu bytes printed",
             console->mux.foreground == vm->number ? '*' : ' ', vm->number,
             (int)vm->config->name.length, vm->config->name.start, state_name(vm),
             (unsigned long long)(vm->config->memory >> 20), vm->restarts,
             (unsigned long long)console->mux.scrollback[vm->number].total);
    }
}

static void do_statistics(struct console *console, uint8_t number)
{
    struct vm *vm = live_foreground(console);

    (void)number;
    if (vm) {
        vm->report_asked = true;
        vm_control(vm, MESSAGE_STATISTICS);
    }
}

static void do_pause(struct console *console, uint8_t number)
{
    struct vm *vm = live_foreground(console);

    (void)number;
    if (vm) {
        vm->state = VM_PAUSED;
        vm->controls &= ~(1u << (MESSAGE_RESUME - MESSAGE_PAUSE));
        vm_control(vm, MESSAGE_PAUSE);
        tell(console, "[gatehouse] vm %u is paused; Ctrl-A r resumes it", vm->number);
    }
}

static void do_resume(struct console *console, uint8_t number)
{
    struct vm *vm = live_foreground(console);

    (void)number;
    if (vm) {
        vm->state = VM_RUNNING;
        vm->controls &= ~1u;
        vm_control(vm, MESSAGE_RESUME);
        tell(console, "[gatehouse] vm %u runs", vm->number);
    }
}

static void do_reset(struct console *console, uint8_t number)
{
    struct vm *vm = foreground(console);

    (void)number;
    if (!vm) {
        (void)live_foreground(console);
        return;
    }
    vm_end(console, vm, END_STOPPED, 0, "reset at the console");
    vm->restarts++;
    vm_start(console, vm);
}

static void do_kill(struct console *console, uint8_t number)
{
    struct vm *vm = live_foreground(console);

    (void)number;
    if (vm) {
        vm_end(console, vm, END_STOPPED, 0, "killed at the console");
    }
}

void command_end_run(struct console *console)
{
    console->ending = true;
    for (unsigned i = 0; i < console->vm_count; i++) {
        vm_stop(console, &console->vms[i]);
    }
}

static void do_end(struct console *console, uint8_t number)
{
    (void)number;
    command_end_run(console);
}

static void do_nothing(struct console *console, uint8_t number)
{
    (void)console;
    (void)number;
}

static void do_unknown(struct console *console, uint8_t number)
{
    (void)number;
    tell(console, "[gatehouse] no such command; Ctrl-A h lists them");
}

static void (*const commands[])(struct console *console, uint8_t number) = {
    [ESCAPE_NOTHING] = do_nothing,
    [ESCAPE_FORWARD] = do_nothing,
    [ESCAPE_HELP] = do_help,
    [ESCAPE_NEXT] = do_next,
    [ESCAPE_CONSOLE] = do_console,
    [ESCAPE_LIST] = do_list,
    [ESCAPE_STATISTICS] = do_statistics,
    [ESCAPE_PAUSE] = do_pause,
    [ESCAPE_RESUME] = do_resume,
    [ESCAPE_RESET] = do_reset,
    [ESCAPE_KILL] = do_kill,
    [ESCAPE_END] = do_end,
    [ESCAPE_UNKNOWN] = do_unknown,
};

static void forward(struct console *console, uint8_t byte)
{
    struct vm *vm = foreground(console);

    if (!vm || vm->state == VM_ENDED) {
        return; // nobody there to read it
    }
    if (ring_put(&vm->input, &byte, 1) == 0 && vm->input_lost++ == 0) {
        console_log(console, "console: vm %u does not read its input; bytes are lost", vm->number);
    }
}

void command_take_input(struct console *console, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        struct escape_result result = escape_take(&console->escape, bytes[i]);

        if (result.command == ESCAPE_FORWARD) {
            forward(console, result.byte);
        } else {
            commands[result.command](console, result.number);
        }
    }
}
