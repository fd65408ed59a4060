// SPDX-License-Identifier: MIT
// A task switch on its way: the task-state segments of 32 and 16 bits, saved from and loaded into
// the registers. The parts of handle_task_switch.c that know the layouts of "32-Bit Task-State
// Segment (TSS)" and "16-Bit Task-State Segment (TSS)". Pure but for the guest's memory.
#pragma once

#include "vmm/monitor/system_access.h"

#define TASK_SEGMENTS 6u // ES, CS, SS, DS, FS, GS, in this order in a TSS

struct task_state {
    uint32_t cr3, ip, flags;
    uint32_t gpr[8]; // by enum gpr_index
    uint16_t selector[TASK_SEGMENTS];
    uint16_t ldt;
    bool trap;
};

struct task_switch {
    struct system_access access;
    uint32_t source;
    struct vcpu_event event; // that a task gate delivers
    bool external;           // and the guest did not cause
    uint64_t next_rip;       // where the old task goes on
    uint64_t old_flags;      // and with which flags
    bool old_is_32, is_32;
    struct descriptor descriptor; // of the new TSS
    struct task_state state;      // the new task's
};

// Records a fault that names a selector; returns false.
bool task_fault(struct task_switch *task, unsigned vector, uint16_t selector);

// Reads the new task's TSS into task->state.
bool task_read_new(struct task_switch *task) MUST_CHECK;

// Checks that the old TSS can be written, then saves the registers there.
bool task_save_old(struct task_switch *task) MUST_CHECK;

// Takes over what needs no check: CR3, instruction pointer, flags, general registers, selectors.
void task_load_registers(struct task_switch *task);

// LDT, then the segments, each with its checks. The page can be entered after each of them.
bool task_load_segments(struct task_switch *task) MUST_CHECK;

// Pushes the event's error code onto the new task's stack, with its privilege.
bool task_push_error_code(struct task_switch *task) MUST_CHECK;
