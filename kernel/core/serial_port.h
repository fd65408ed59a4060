// SPDX-License-Identifier: MIT
// The serial ports' interrupts. What the device owner does with the ports are system calls
// (calls_serial.c).
#pragma once

#include <stdint.h>

// Routes the interrupts of the ports that exist to this CPU and turns them on.
void serial_port_start(uint32_t apic_id);

// The port's interrupt: moves bytes between the UART and its rings and tells who is bound.
void serial_port_interrupt(uint32_t port);
