// SPDX-License-Identifier: MIT
// The pair of 8259A interrupt controllers with edge/level control registers. `output` caches the
// INT pin of the master, so the monitor's question before each entry is one load.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "vmm/devices/device.h"
#include "vmm/devices/interrupt_line.h"

// Register numbers on the bus: master 0-1 (0x20), slave 2-3 (0xa0), ELCR 4-5 (0x4d0).
enum pic_register { PIC_MASTER = 0, PIC_SLAVE = 2, PIC_ELCR = 4 };

struct pic_chip {
    uint8_t irr;    // requests
    uint8_t isr;    // in service
    uint8_t imr;    // masked
    uint8_t lines;  // input levels
    uint8_t elcr;   // level-triggered inputs
    uint8_t base;   // vector of input 0
    uint8_t lowest; // input of lowest priority
    uint8_t icw1, icw4;
    uint8_t expected; // next initialisation word: 2, 3, 4; 0: initialised; 1: never was
    bool read_isr, poll, special_mask, rotate_aeoi;
    bool output; // INT pin
    uint8_t reserved;
};
static_assert(sizeof(struct pic_chip) == 16, "indexed by shifting on the hot path");

struct pic {
    struct device device;
    struct interrupt_controller controller; // inputs 0-15
    struct pic_chip chip[2];                // master, slave
};

// Both chips as after power-on: not initialised, no request accepted.
void pic_init(struct pic *pic);

// True when the processor's INTR pin is driven.
static inline bool pic_pending(const struct pic *pic)
{
    return pic->chip[0].output;
}

// The processor's interrupt-acknowledge cycle: returns the vector and moves the request to in
// service. `*irq` becomes the input 0-15 served, or 16 for a spurious interrupt (vector of
// input 7 of the chip that had nothing to offer).
uint8_t pic_acknowledge(struct pic *pic, unsigned *irq);
