// SPDX-License-Identifier: MIT
// The contract between kernel/vm and a virtualisation backend (vmx/). A backend turns hardware
// words into the neutral words of kernel/abi/vcpu.h; it allocates nothing and takes no lock. All
// calls are made with interrupts off. kernel/vm guarantees that a vCPU is used by one thread, on
// one CPU, and that vcpu_* calls other than vcpu_init happen while it is loaded on this CPU.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "arch/x86/paging/page_table.h"
#include "kernel/abi/exit_log.h"
#include "kernel/abi/syscall.h"
#include "kernel/abi/vcpu.h"
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

// A zeroed 4 KiB page that the caller owns and lends to the backend.
struct virt_page {
    void *address; // in the kernel's direct map
    hpa_t physical;
};

#define VIRT_CPU_PAGES  1u
#define VIRT_VM_PAGES   4u
#define VIRT_VCPU_PAGES 4u
#define VIRT_APIC_PAGE  2u // of a vCPU's: the virtual-APIC page, which the monitor sees too

#define VIRT_PORT_MAP_PAGES 2u
#define VIRT_PORT_MAP_BITS  32768u // ports of a page

// What vcpu_enter found. After the first three page->exit is decoded and the groups that it needs
// are filled, so that the kernel can hand the exit on.
enum virt_outcome {
    VIRT_TO_MONITOR, // nothing for the kernel
    VIRT_CPUID,      // gpr RAX and RCX of the page are current
    VIRT_PORT,       // IN or OUT without string, the first port of which has no device
    VIRT_INTERRUPT,  // a host interrupt, acknowledged: virt_vcpu.vector
    VIRT_NMI,        // a host NMI
    VIRT_MACHINE_CHECK,
    VIRT_TIMER, // the deadline passed
    VIRT_OUTCOME_COUNT
};
#define VIRT_FIRST_OF_HOST VIRT_INTERRUPT

#define VIRT_REASON_COUNT 80u

// A VM as the backend sees it. Guarded by the lock of the kernel's VM object.
struct virt_vm {
    const struct page_table *nested; // the nested page table
    const struct cpuid_table *cpuid; // answers to CPUID, which the backend may give by itself
    uint64_t *port_map[VIRT_PORT_MAP_PAGES]; // a bit for each port: set where no device is
    struct virt_page msr_bitmap[2]; // by enum vcpu_apic_mode; a bit per MSR and direction: 1 exits
    uint32_t intercepts;            // VM_INTERCEPT_*
};

// True when no device is at the port.
/*@
  predicate port_maps_valid(struct virt_vm *vm) = \valid_read(vm) &&
    \valid_read(vm->port_map[0] + (0 .. 511)) && \valid_read(vm->port_map[1] + (0 .. 511));
  logic integer port_bit(struct virt_vm *vm, integer port) =
    (vm->port_map[port / 32768][port / 64 % 512] >> (port % 64)) & 1;
*/
/*@
  requires port_maps_valid(vm) && port < 0x10000;
  terminates \true;
  assigns \nothing;
  ensures \result <==> port_bit(vm, port) != 0;
*/
static inline bool virt_port_floats(const struct virt_vm *vm, uint32_t port)
{
    const uint64_t *map = vm->port_map[port / VIRT_PORT_MAP_BITS];

    return (map[port / 64 % 512] >> (port % 64) & 1) != 0;
}

// A vCPU as the backend sees it. Used by its own thread only.
struct virt_vcpu {
    // Read by kernel/vm
    struct vcpu_page *page; // in the kernel's direct map
    struct virt_vm *vm;
    uint64_t guest_ticks; // TSC spent in the guest and in exits that the backend finished; while it
                          // is there, less the TSC at which it was entered
    uint32_t reason;      // raw reason of the last exit
    uint32_t vector;      // VIRT_INTERRUPT

    // Exits that the backend or kernel/vm finished, by basic reason.
    uint64_t finished[VIRT_REASON_COUNT];

    // The backend's own
    uint64_t backend[64];
};

struct virt_ops {
    const char *name;
    bool (*apic_offered)(void); // virtual-interrupt delivery and what belongs to it

    // Turns virtualisation on for this CPU. `page` stays with the backend.
    MUST_CHECK enum status (*cpu_start)(const struct virt_page *page);

    // The nested page table's format, and the largest page that this processor accepts in it.
    enum page_format nested_format;
    enum page_level (*nested_largest)(void);

    // Every MSR of a new VM exits. Nothing is to be undone for a VM.
    void (*vm_init)(struct virt_vm *vm, const struct virt_page *pages,
                    const struct page_table *nested);
    // Lets the guest read and write the MSRs [first, last] itself, or not. STATUS_DENIED: the
    // backend does not keep all of them per vCPU, and nothing was changed.
    MUST_CHECK enum status (*vm_pass_msrs)(struct virt_vm *vm, uint32_t first, uint32_t last,
                                           bool pass);
    // Makes these VM_INTERCEPT_* exit in the vCPUs to come. Returns those that this processor
    // lacks; unless none, nothing was changed.
    MUST_CHECK uint32_t (*vm_intercept)(struct virt_vm *vm, uint32_t intercepts);
    // Drops what this CPU cached of all nested page tables.
    void (*invalidate)(void);

    // Makes a vCPU whose registers are zero, with which no guest can be entered, and leaves it
    // loaded; whatever vCPU was loaded before must have been unloaded. `identifier`, not 0: for its
    // address space, of no other vCPU on this CPU until this one is destroyed.
    MUST_CHECK enum status (*vcpu_init)(struct virt_vcpu *vcpu, struct virt_vm *vm,
                                        struct vcpu_page *page, const struct virt_page *pages,
                                        uint16_t identifier);
    void (*vcpu_destroy)(struct virt_vcpu *vcpu); // while not loaded
    // Makes the vCPU the one whose state this CPU holds; unload saves it all back.
    void (*vcpu_load)(struct virt_vcpu *vcpu);
    void (*vcpu_unload)(struct virt_vcpu *vcpu);

    // Runs the guest once, at the latest until the absolute host TSC `deadline`; not at all, with
    // VIRT_TIMER, when that has passed. First makes the CPU ready: FPU state, requests in the page,
    // and the groups in page->dirty after checking them; clears page->dirty. A page with a value
    // that cannot be loaded is VIRT_TO_MONITOR with EXIT_ENTRY_REFUSED, and no group was changed.
    enum virt_outcome (*vcpu_enter)(struct virt_vcpu *vcpu, uint64_t deadline);
    // Fills groups (VCPU_GROUP_*) of the page that are not valid.
    void (*vcpu_export)(struct virt_vcpu *vcpu, uint32_t groups);
    // Moves the guest past the instruction that exited (with its interrupt shadow and TF).
    void (*vcpu_skip)(struct virt_vcpu *vcpu);
    // One of the vCPU's hardware fields, for reports. False: this processor has no such field.
    MUST_CHECK bool (*vcpu_read)(struct virt_vcpu *vcpu, uint64_t encoding, uint64_t *value);
    // From now on every exit comes out of vcpu_enter.
    void (*vcpu_trace_start)(struct virt_vcpu *vcpu);
    // Fills the words of a record that the hardware knows, right after vcpu_enter.
    void (*vcpu_trace)(struct virt_vcpu *vcpu, struct exit_record *record);
};

// Chooses the backend of this processor. Null: there is none, and `support`, zero before, says what
// is missing.
MUST_CHECK const struct virt_ops *virt_probe(struct vm_support *support);
