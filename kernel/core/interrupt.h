// SPDX-License-Identifier: MIT
// Interrupts and traps: the kernel's side of arch's hooks. Runs with interrupts off on the CPU that
// took them.
#pragma once

#include <stdint.h>

// Vectors that the kernel gives out.
enum interrupt_vector {
    INTERRUPT_SERIAL_BASE = 0x40, // + serial port number
    INTERRUPT_WAKE = 0xf0,        // another CPU woke a thread of this one
    INTERRUPT_TIMER = 0xf1,
    INTERRUPT_SPURIOUS = 0xff,
};

// Installs the trap hooks.
void interrupt_install(void);

// Handles one host interrupt, end of interrupt included, wherever it came from: ring 3, an
// interrupt window, or a VM exit that acknowledged it. Wakes threads but switches to none: the vCPU
// loop asks thread_should_yield afterwards.
void interrupt_handle(uint32_t vector);

// Before ring 3 runs on: switches to others if it is their turn, ends the thread if it was killed,
// and sets the timer. Every way back to ring 3 goes through it.
void leave_to_user(void);
