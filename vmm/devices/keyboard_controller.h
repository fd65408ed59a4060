// SPDX-License-Identifier: MIT
// An 8042 keyboard controller with nothing plugged in, and the two other places from which a PC is
// reset: system control port A (0x92) and the reset control register (0xcf9). A byte sent to the
// absent keyboard is answered at once with "time-out", so drivers need not wait for it.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "vmm/devices/device.h"
#include "vmm/devices/interrupt_line.h"
#include "vmm/devices/machine_control.h"

// Register numbers on the bus: 0 data (0x60), 1 command/status (0x64), 2 port A (0x92), 3 reset
// control (0xcf9).
enum keyboard_controller_register { KBC_DATA, KBC_COMMAND, KBC_PORT_A, KBC_RESET };

struct keyboard_controller {
    struct device device;
    struct interrupt_line irq; // IRQ 1
    struct machine_control *control;
    uint8_t command_byte;
    uint8_t pending;     // command that waits for its data byte; 0: none
    uint8_t output_port; // bit 0: reset line (active low), bit 1: A20
    uint8_t output;      // output buffer
    uint8_t flags;       // status bits: output full, command/data, time-out, auxiliary
    uint8_t reset_control;
    uint8_t ram[32];
};

void keyboard_controller_init(struct keyboard_controller *kbc, struct machine_control *control);
