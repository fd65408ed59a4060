// SPDX-License-Identifier: MIT
// A machine for the kernel's own code in a host test: RAM in the direct map, per-CPU data, real
// kernel stacks with real switches between them, and several CPUs that the test lets run one at a
// time, each until it pauses. What is simulated is the processor (host_processor.h) and what stands
// in place of drivers and of kernel/vm; all else is the product's.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/memory/page_allocator.h"

#define HOST_RAM (64ull << 20)

// Makes the machine: page allocator over HOST_RAM, a root container with all of it, and `cpus` CPUs
// in their idle loops. Once in a process.
void host_machine_start(uint32_t cpus);

// Lets `cpu` run until it calls host_pause or halts in its idle loop.
void host_run(uint32_t cpu);

// On a CPU: gives control back to the test.
void host_pause(void);

// On a CPU: runs function(argument); true when it panicked. A panic outside fails the test.
bool host_panics(void (*function)(void *argument), void *argument);

// Which CPUs were interrupted to look at their wake queue since the last call, as bits.
uint64_t host_interrupted(void);

// Runs function(argument) on the stack of a CPU that idles or is in an interrupt.
void host_on_cpu(uint32_t cpu, void (*function)(void *argument), void *argument);

// An NMI was sent to a CPU, which answers a shootdown at once unless a test has its own of this.
void host_nmi_sent(uint32_t cpu);

// In such a function: gives control back without coming to its end.
NORETURN void host_leave(void);
