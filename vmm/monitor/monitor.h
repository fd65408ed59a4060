// SPDX-License-Identifier: MIT
// The monitor process: everything one VM has. Built by setup.c and run by run.c: one thread, or
// with local APICs one for each virtual processor, which hold the lock of smp.h outside of the
// guest.
#pragma once

#include <stdint.h>
#include "kernel/abi/syscall.h"
#include "vmm/config/config.h"
#include "vmm/devices/guest_memory.h"
#include "vmm/devices/platform.h"
#include "vmm/load/load.h"
#include "vmm/monitor/exit_trail.h"
#include "vmm/monitor/link.h"
#include "vmm/monitor/machine.h"
#include "vmm/monitor/observe.h"
#include "vmm/monitor/smp.h"
#include "vmm/monitor/watchdog.h"

#define MONITOR_PROCESSORS APIC_BUS_PROCESSORS

struct monitor;

// One virtual processor and the thread that runs it.
struct virtual_cpu {
    struct monitor *monitor;
    uint32_t index;
    uint32_t handle; // of the vCPU
    struct machine machine;
    struct exit_trail trail;
    struct watchdog_spin spin;
    bool sample_due; // `spin` wants to know where it is
    struct observer observer;

    // With local APICs only, see smp.c.
    uint32_t thread;          // handle; set before the thread first gets the lock
    bool stands_by;           // looks whether it is to park, or has time to hide, before it runs on
    bool parked;              // does not run while the VM is paused; guarded by the lock
    uint64_t skipped;         // of monitor.skipped, what this processor's TSC has been set back
    uint64_t deferred_events; // event bits that came while the thread waited for the lock
};

struct monitor {
    const struct process_info *info;
    struct config_vm config;
    uint32_t vm;
    struct virtual_cpu cpu[MONITOR_PROCESSORS];
    struct load_entry *entry; // how the boot processor starts
    struct smp smp;
    struct link link;
    struct guest_memory memory;
    struct platform platform;
    struct watchdog watchdog;
    struct observe_sink sink; // of the exit log and the exit tables
};

// Builds the VM that the process's arguments describe: memory, guest image, tables, devices, and
// without local APICs the vCPU. Ends the process with a message when that is not possible.
void monitor_setup(struct monitor *monitor, const struct process_info *info);

// Makes the vCPU of the calling thread, in its reset state.
void monitor_make_vcpu(struct virtual_cpu *cpu);

// Puts the boot processor where the guest image starts.
void monitor_enter_image(struct monitor *monitor, struct vcpu_page *page);

// Runs it to its end.
NORETURN void monitor_run(struct monitor *monitor);

// Sends the last message and ends the process.
NORETURN void monitor_end(struct monitor *monitor, uint32_t reason, uint32_t status,
                          const char *why);
