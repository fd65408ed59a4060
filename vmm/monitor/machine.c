// SPDX-License-Identifier: MIT
// Helpers of the exit handlers: ending the VM and writing log lines. See machine.h.
#include "vmm/monitor/machine.h"

#include "kernel/lib/format.h"

enum outcome machine_stop(struct machine *machine, uint32_t reason, uint32_t status, bool report,
                          const char *format, ...)
{
    va_list arguments;

    machine->stop.reason = reason;
    machine->stop.status = status;
    machine->stop.report = report;
    va_start(arguments, format);
    (void)format_text_va(machine->stop.why, sizeof(machine->stop.why), format, arguments);
    va_end(arguments);
    return OUTCOME_STOP;
}

enum outcome machine_halted(struct machine *machine)
{
    return machine_stop(machine, END_HALTED, RUN_HALTED, true,
                        "the guest halted for ever: HLT with interrupts off at rip 0x%llx",
                        (unsigned long long)machine->page->rip);
}

void machine_log(struct machine *machine, const char *format, ...)
{
    char line[256];
    va_list arguments;

    if (!machine->log) {
        return;
    }
    va_start(arguments, format);
    (void)format_text_va(line, sizeof(line), format, arguments);
    va_end(arguments);
    machine->log(machine->log_context, line);
}

enum outcome machine_device_end(struct machine *machine)
{
    uint32_t value = 0;

    switch (platform_ended(machine->platform, &value)) {
    case MACHINE_POWER_OFF:
        return machine_stop(machine, END_POWER_OFF, RUN_POWER_OFF, false, "the guest powered off");
    case MACHINE_RESET:
        return machine_stop(machine, END_RESET, 0, false, "the guest reset the machine");
    case MACHINE_TEST_EXIT:
        return machine_stop(machine, END_TEST_EXIT, ((value << 1) | 1) & 0xff, false,
                            "the guest wrote %u to port 0xf4", value);
    case MACHINE_RUNS:
        break;
    }
    return OUTCOME_RESUME;
}
