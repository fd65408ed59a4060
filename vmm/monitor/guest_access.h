// SPDX-License-Identifier: MIT
// The emulator's way into the guest: linear addresses through the guest's page tables to RAM, or to
// the device that answers there; ports to the port bus. One per vCPU, set up for each exit.
#pragma once

#include "kernel/abi/vcpu.h"
#include "vmm/devices/bus.h"
#include "vmm/devices/guest_memory.h"
#include "vmm/emulate/emulate.h"
#include "vmm/monitor/guest_walk.h"

struct guest_access {
    struct guest_memory *memory;
    struct mmio_bus *mmio;
    struct port_bus *ports;
    // Filled by guest_access_start.
    struct guest_paging paging;
    uint64_t known_linear;   // page the processor has translated for this exit,
    uint64_t known_physical; // and where it found it
    uint32_t known_access;   // enum emulate_access it was translated for; 0: none
    uint64_t dropped_writes; // to read-only memory, since the VM started
};

// Makes an access path to this VM's memory and buses; all stay the caller's.
void guest_access_init(struct guest_access *access, struct guest_memory *memory,
                       struct mmio_bus *mmio, struct port_bus *ports);

// Takes over the registers that decide translations, and the translation that the exit itself came
// with. Call before each emulate_instruction. Needs VCPU_GROUP_RIP, _CONTROL and _SEGMENTS.
void guest_access_start(struct guest_access *access, const struct vcpu_page *page);

// Pass these with a `struct guest_access *` as the context. Instruction bytes outside RAM end the
// emulation with STATUS_NOT_FOUND.
extern const struct emulate_operations guest_access_operations;
