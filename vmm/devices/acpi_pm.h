// SPDX-License-Identifier: MIT
// ACPI fixed hardware: PM1a event and control registers and the power-management timer, after
// "ACPI Hardware Specification". The machine is always in ACPI mode (no SMI command port); the
// only sleeping state is S5. The event interrupt (SCI) is IRQ 9.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/status.h"
#include "vmm/devices/clock.h"
#include "vmm/devices/device.h"
#include "vmm/devices/interrupt_line.h"
#include "vmm/devices/machine_control.h"

#define ACPI_PM_BASE     0x600u
#define ACPI_PM_TIMER_HZ 3579545u
#define ACPI_PM_S5       5u // SLP_TYP of soft-off, as \_S5 in the DSDT says
#define ACPI_SCI_IRQ     9u

// Register numbers on the bus, from ACPI_PM_BASE.
enum acpi_pm_register { PM1_STATUS = 0, PM1_ENABLE = 2, PM1_CONTROL = 4, PM_TIMER = 8 };
#define ACPI_PM_PORTS 12u

struct acpi_pm {
    struct device device;
    struct interrupt_line sci;
    struct clock *clock;
    struct timer timer; // armed while TMR_EN is set and TMR_STS is clear
    struct machine_control *control;
    uint64_t carried; // carries out of bit 23 that TMR_STS accounts for
    uint16_t status, enable, pm1_control;
};

// STATUS_NO_MEMORY: the clock has no timer left.
MUST_CHECK enum status acpi_pm_init(struct acpi_pm *pm, struct clock *clock,
                                    struct machine_control *control);

// Somebody pressed the power button: an ACPI guest that listens shuts down in order.
void acpi_pm_press_power_button(struct acpi_pm *pm);
