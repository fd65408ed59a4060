// SPDX-License-Identifier: MIT
// The end of the machine (panic.h).
#include "kernel/core/panic.h"
#include <stdarg.h>
#include "arch/x86/boot/boot_information.h"
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/cpu/trap.h"
#include "arch/x86/paging/layout.h"
#include "drivers/machine_end.h"
#include "drivers/serial.h"
#include "kernel/abi/message.h"
#include "kernel/core/boot_options.h"
#include "kernel/core/event_log.h"
#include "kernel/core/log.h"
#include "kernel/core/stop.h"
#include "kernel/lib/format.h"

static const struct boot_information *boot;

void boot_options_set(const struct boot_information *information)
{
    boot = information;
}

bool command_line_has(const char *word)
{
    return boot && boot_command_line_has(boot, word);
}

static void print(unsigned port, const char *text)
{
    for (; *text != '\0'; text++) {
        (void)serial_putc(port, (uint8_t)*text);
    }
}

NORETURN void kernel_cannot_start(const char *reason)
{
    for (unsigned port = 0; port < SERIAL_PORT_COUNT; port++) {
        if (serial_initialize(port)) {
            print(port, "Gatehouse cannot start: ");
            print(port, reason);
            print(port, "\n");
        }
    }
    halt_forever();
}

NORETURN void run_end(uint32_t status)
{
    char line[32];

    interrupts_disable();
    if (!stop_claim()) {
        halt_forever(); // another CPU ends the machine, and stops this one
    }
    event_log_end(status);
    stop_others();
    log_flush_unread();
    (void)format_text(line, sizeof(line), "@status %u\n", status);
    log_raw(line);
    for (unsigned port = 0; port < SERIAL_PORT_COUNT; port++) {
        serial_flush(port);
    }
    machine_end(status, command_line_has("emulator"));
}

NORETURN void panic(const char *format, ...)
{
    static char message[2560];
    va_list arguments;

    interrupts_disable();
    va_start(arguments, format);
    if (!stop_claim()) {
        stop_here(format, arguments);
    }
    stop_others();
    log_flush_unread();
    (void)format_text_va(message, sizeof(message), format, arguments);
    va_end(arguments);
    log_raw("\npanic: "); // a line of its own, whatever was being written
    log_raw(message);
    log_raw("\n");
    (void)stack_describe(message, sizeof(message), (uint64_t)__builtin_frame_address(0));
    log_raw(message);
    stop_report();
    run_end(RUN_HOST_PANIC);
}
