// SPDX-License-Identifier: MIT
// The 8254 timer: channel 0 drives IRQ 0, channel 1 nothing, channel 2 the speaker gate in system
// control port B (0x61), which is modelled here too. Counters are computed from the clock when
// asked for; only channel 0 arms a timer.
//
// Ticks that come due while the previous one was not yet acknowledged are kept (one second's worth
// at most) and re-raised one by one as the guest acknowledges, so that a guest which counts
// interrupts keeps its clock although its vCPU was not running. While IRQ 0 is masked nothing is
// kept.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/status.h"
#include "vmm/devices/clock.h"
#include "vmm/devices/device.h"
#include "vmm/devices/interrupt_line.h"

#define PIT_HZ 1193182u

// Register numbers on the bus: counters 0-2 and control word 3 (0x40-0x43), port B 4 (0x61).
enum pit_register { PIT_CONTROL = 3, PIT_PORT_B = 4 };

struct pit_channel {
    uint64_t start;   // PIT tick at which the count began; while stopped: unused
    uint32_t count;   // 1-65536 (BCD: 1-10000): periods in this run
    uint32_t next;    // count for the next period or trigger, 0: the same
    uint32_t elapsed; // ticks counted before a low gate stopped it (modes 0, 4)
    uint16_t latch;
    uint8_t mode;      // 0-5
    uint8_t access;    // 1 low, 2 high, 3 low then high
    uint8_t status;    // latched status byte
    uint8_t write_low; // first byte of a two-byte write
    uint8_t latched;   // bytes of `latch` still to read: 0-2
    bool status_latched;
    bool bcd;
    bool gate;
    bool loaded;     // a count was written since the control word (null count is clear)
    bool counting;   // started; false: waits for a count, or (modes 1, 5) for a trigger
    bool write_high; // the next write is the high byte
    bool read_high;  // the next read is the high byte
};

struct pit {
    struct device device;
    struct interrupt_line irq;
    struct clock *clock;
    struct timer tick_timer;
    struct pit_channel channel[3];
    uint64_t next_tick;  // PIT tick of channel 0's next interrupt
    uint32_t missed;     // ticks to re-raise
    uint32_t coalesced;  // ticks dropped beyond the bound, for statistics
    bool unacknowledged; // a tick was raised that the guest has not taken
    uint8_t port_b;      // bits 0-3 as written
};

// STATUS_NO_MEMORY: the clock has no timer left.
MUST_CHECK enum status pit_init(struct pit *pit, struct clock *clock);

// The processor acknowledged IRQ 0: re-raises a missed tick, if any.
void pit_acknowledged(struct pit *pit);
