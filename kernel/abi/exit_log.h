// SPDX-License-Identifier: MIT
// The log of VM exits: a page that the kernel shares with the monitor of a vCPU (SYS_VCPU_LOG), and
// the entries that leave the machine (struct exit_entry, read by scripts/exits).
//
// The kernel writes a record at each exit, those that it finishes itself included, and completes it
// at the next one. The monitor takes complete records; vcpu_run returns with EXIT_NONE when the
// page is full. What the monitor writes into the page harms nobody else: the kernel keeps its own
// counts and reads `taken` only.
#pragma once

#include <stdint.h>
#include "kernel/lib/compiler.h"

struct exit_record {
    uint64_t exited;        // host TSC at the exit
    uint64_t resumed;       // host TSC at the next entry
    uint64_t away;          // ticks between them in which the thread did not run
    uint64_t rip;           // at the exit
    uint64_t qualification; // raw
    uint64_t operand;       // guest-physical address of memory exits; register of CR and DR access
    uint64_t before[4];     // RAX, RCX, RDX, RBX at the exit
    uint64_t after[4];      // the same at the next entry
    uint32_t reason;        // raw exit reason
    uint32_t interruption;  // raw interruption information, of interrupts and exceptions
    uint32_t event; // vcpu_event.word injected at the next entry, or asked of the virtual APIC
    uint32_t reserved;
};

#define VCPU_LOG_RECORDS 16u

struct vcpu_log {
    uint64_t written;     // by the kernel: complete records since the log began
    uint64_t taken;       // by the monitor: of them taken
    uint64_t lost;        // by the kernel: records that found no room
    uint64_t guest_ticks; // by the kernel, at the return of vcpu_run: spent in the guest so far
    uint64_t away_call;   // the same at the call of vcpu_run: the thread did not run so long
    uint64_t away_return; // the same at its return
    struct exit_record records[VCPU_LOG_RECORDS]; // record i is at [i % VCPU_LOG_RECORDS]
};
static_assert(sizeof(struct vcpu_log) <= 4096, "the log is one page");

// One exit as it leaves the machine. What stands in it depends on the reason:
//               word            value[0]          value[1]
//   CPUID       ECX, EDX        leaf, sub-leaf    EAX, EBX (the first in the low half)
//   I/O         qualification   data              RCX
//   MSRs        0               index             data
//   EPT         qualification   guest address     RAX: written, or at the next entry
//   CR, DR      qualification   the register
//   exception,
//   interrupt   qualification   interruption information
//   others      qualification   RAX               RBX
struct exit_entry {
    uint64_t exited; // host TSC
    uint64_t rip;
    uint64_t word;
    uint64_t value[2];
    uint32_t kernel;  // ticks in the kernel until the next entry; all ticks saturate
    uint32_t monitor; // in the monitor
    uint32_t halted;  // asleep in HLT
    uint32_t other;   // other threads, and what logging itself took
    uint32_t event;   // injected at the next entry
    uint16_t reason;  // basic exit reason; bit 15: the entry failed
    uint8_t kind;     // enum exit_kind that reached the monitor; EXIT_NONE: the kernel finished it
    uint8_t vcpu;
};
static_assert(sizeof(struct exit_entry) == 64, "scripts/gatehouse/exit_log.py reads this layout");

// Payload of MESSAGE_EXITS, followed by `count` entries.
struct exit_batch {
    uint64_t tsc_hz;
    uint64_t lost;     // entries lost so far
    uint32_t sequence; // of this VM's batches, from 0
    uint32_t count;
};
static_assert(sizeof(struct exit_batch) == 24, "scripts/gatehouse/exit_log.py reads this layout");
