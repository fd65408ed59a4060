// SPDX-License-Identifier: MIT
// The emulator's way into the guest: linear addresses through the guest's page tables to RAM, or to
// the device that answers there; ports to the port bus. One per vCPU, set up for each exit.
#pragma once

#include "kernel/abi/vcpu.h"
#include "kernel/lib/compiler.h"
#include "vmm/devices/bus.h"
#include "vmm/devices/guest_memory.h"
#include "vmm/emulate/decode.h"
#include "vmm/emulate/emulate.h"
#include "vmm/monitor/guest_walk.h"

// A page translated before. It holds while the registers and the traced entries are the same, so
// using it gives exactly what walking again would.
struct guest_page {
    uint64_t linear;
    uint64_t physical;
    uint8_t *host;   // where its bytes are mapped; null: not RAM throughout, or not writable
    uint32_t access; // enum emulate_access it was translated for; 0: none
    struct guest_walk_trace trace;
};

enum guest_page_use { GUEST_PAGE_READ, GUEST_PAGE_WRITE, GUEST_PAGE_FETCH, GUEST_PAGE_USES };

struct guest_access {
    struct guest_memory *memory;
    struct mmio_bus *mmio;
    struct port_bus *ports;
    struct guest_paging paging;                // registers of the last guest_access_start
    struct guest_page known;                   // the translation the exit came with
    struct guest_page walked[GUEST_PAGE_USES]; // the last of each use
    uint64_t device_page; // the last page found to hold no RAM, guest-physical; 1: none
    struct decode_cache decoded;
    uint8_t *modified;       // RAM that a read-modify-write has read; null: none
    uint32_t modified_size;  // 1, 2, 4 or 8 bytes
    uint64_t modified_from;  // what was there
    uint64_t dropped_writes; // to read-only memory, since the VM started
};

// Makes an access path to this VM's memory and buses; all stay the caller's.
void guest_access_init(struct guest_access *access, struct guest_memory *memory,
                       struct mmio_bus *mmio, struct port_bus *ports);

// Emulates the instruction at page->rip over this path, as emulate_instruction does. A
// read-modify-write of RAM that does not cross a page is atomic towards the other processors: where
// one of them was quicker the emulation fails with STATUS_BUSY and nothing has changed, so that the
// instruction can be begun again. Takes over the
// registers that decide translations, and the translation that the exit itself came with. Needs
// VCPU_GROUP_RIP, _CONTROL and _SEGMENTS. Instruction bytes outside RAM end the emulation with
// STATUS_NOT_FOUND.
void guest_access_emulate(struct guest_access *access, struct vcpu_page *page,
                          struct emulate_result *result);

// The frequent case in a few steps: the exit was the memory operand of a MOV or MOVZX in 64-bit
// mode, at a page without RAM, by an instruction that was emulated before and has not changed. The
// processor has checked everything and said where the operand is, so it goes to the bus as it is.
// True: done, RIP is past it, *single_step as of emulate_advance. False: nothing was changed. Needs
// VCPU_GROUP_RIP and _CONTROL, of an EXIT_MEMORY by a data access.
MUST_CHECK bool guest_access_move(struct guest_access *access, struct vcpu_page *page,
                                  bool *single_step);

// Its two parts, for callers that need one alone: guest_access_start before each exit's emulation,
// then the operations with the `struct guest_access *` as their context.
void guest_access_start(struct guest_access *access, const struct vcpu_page *page);
extern const struct emulate_operations guest_access_operations;
