// SPDX-License-Identifier: MIT
// The monitor process: everything one VM has. Built by setup.c, run by run.c, one thread.
#pragma once

#include <stdint.h>
#include "kernel/abi/syscall.h"
#include "vmm/config/config.h"
#include "vmm/devices/guest_memory.h"
#include "vmm/devices/platform.h"
#include "vmm/monitor/link.h"
#include "vmm/monitor/machine.h"
#include "vmm/monitor/observe.h"

struct monitor {
    const struct process_info *info;
    struct config_vm config;
    uint32_t vm;
    uint32_t vcpu;
    struct machine machine;
    struct link link;
    struct guest_memory memory;
    struct platform platform;
    struct observer observer;
};

// Builds the VM that the process's arguments describe: memory, guest image, tables, devices, vCPU.
// Ends the process with a message when that is not possible.
void monitor_setup(struct monitor *monitor, const struct process_info *info);

// Runs it to its end.
NORETURN void monitor_run(struct monitor *monitor);

// Sends the last message and ends the process.
NORETURN void monitor_end(struct monitor *monitor, uint32_t reason, uint32_t status,
                          const char *why);
