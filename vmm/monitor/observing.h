// SPDX-License-Identifier: MIT
// Observing a VM's exits: the system calls around observe.h, and what comes of them when the person
// asks or the VM ends. Called by the run loops, with the VM's lock held where there is one.
#pragma once

#include "vmm/monitor/monitor.h"

// Begins to observe a vCPU if the configuration wants it; called by the vCPU's thread.
void observing_start(struct virtual_cpu *cpu);

// Takes the records of the vCPU's exits. `start`: the TSC since when this has been going on.
void observing_take(struct virtual_cpu *cpu, uint64_t start);

// The VM ends, its other vCPUs stand still: the rest of the log, and the tables where they were
// asked for.
void observing_finish(struct virtual_cpu *cpu);

// What the person at the console asked for.
void observing_answer(struct monitor *monitor);
