// SPDX-License-Identifier: MIT
// The VM and vCPU objects as the files of kernel/vm share them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "arch/x86/paging/page_table.h"
#include "arch/x86/virt/virt.h"
#include "kernel/abi/syscall.h"
#include "kernel/lock/lock.h"
#include "kernel/process/process.h"
#include "arch/x86/virt/cpuid_table.h"
#include "kernel/vm/vm.h"

#define VM_GRANT_MAXIMUM 128u

#define VM_PAGES   (VIRT_VM_PAGES + 2)   // the backend's, then cpuid and grants
#define VCPU_PAGES (VIRT_VCPU_PAGES + 1) // the backend's, then virt.page

struct vm_grant {
    uint64_t gpa;
    uint64_t bytes;   // 0: this slot is free
    uint64_t address; // user address of the memory
};

struct vm {
    struct object object; // references: its handle, each vCPU's, and calls under way

    // Constant after creation.
    struct process *process;
    uint32_t container;
    struct cpuid_table *cpuid; // virt.cpuid, to be written
    struct virt_page pages[VM_PAGES];

    struct cpu_set cpus; // those that ever held the state of one of its vCPUs

    struct lock lock;
    // Guarded by lock.
    struct virt_vm virt;
    struct page_table nested;
    struct vm_grant *grants; // one page
    uint64_t granted_bytes;
    struct vcpu *vcpus;
    uint32_t vcpu_count;
};
static_assert(sizeof(struct vm) <= 4096, "one page per VM");
static_assert(sizeof(struct vm_grant) * VM_GRANT_MAXIMUM <= 4096, "one page of grants");

struct vcpu {
    // Only its thread.
    struct virt_vcpu virt;
    uint64_t exits_to_monitor;
    bool running;       // inside vcpu_run
    bool loaded;        // its CPU holds its state
    uint64_t log_begun; // records begun in the log

    // Constant after creation.
    struct vm *vm;
    struct thread *thread; // null once it is detached
    struct cpu *cpu;       // its thread's
    struct virt_page pages[VCPU_PAGES];
    uint64_t user_page;   // where the process sees virt.page
    uint64_t user_apic;   // and the virtual-APIC page; 0: there is none
    struct vcpu_log *log; // null until it is asked for
    uint64_t log_address; // where the process sees it
    uint32_t handle;
    uint32_t index;

    struct vcpu *next; // guarded by the VM's lock

    _Atomic bool attached; // its thread lives and can run it; cleared by its own CPU
};
static_assert(sizeof(struct vcpu) <= 4096, "one page per vCPU");

extern const struct virt_ops *virt_backend; // null: no VMs here

// -- vcpu.c ------------------------------------------------------------------------------------

// Makes a vCPU for the running thread, and its handle; its shared page is mapped into the process.
// STATUS_STATE: the thread has a vCPU already; STATUS_QUOTA, STATUS_NO_MEMORY.
MUST_CHECK enum status vcpu_create(struct vm *vm, struct vcpu **vcpu);
void vcpu_free(struct vcpu *vcpu); // detached
// Makes the vCPU the one whose state this CPU holds.
void vcpu_load(struct vcpu *vcpu);
static inline void vcpu_make_loaded(struct vcpu *vcpu)
{
    if (UNLIKELY(!vcpu->loaded)) {
        vcpu_load(vcpu);
    }
}

// -- run.c -------------------------------------------------------------------------------------

// SYS_VCPU_RUN, for the vCPU of the running thread `thread`. STATUS_INVALID: unknown flags.
MUST_CHECK enum status vcpu_run(struct vcpu *vcpu, const struct thread *thread, uint64_t flags);

// -- vm.c --------------------------------------------------------------------------------------

// Fills `pages` with zeroed pages of the container, or with fewer and returns false.
MUST_CHECK bool virt_pages_allocate(uint32_t container, struct virt_page *pages, uint32_t count);
// Frees those that were allocated.
void virt_pages_free(uint32_t container, const struct virt_page *pages, uint32_t count);

MUST_CHECK enum status vm_create(struct process *process, struct vm **vm);
MUST_CHECK enum status vm_grant(struct vm *vm, uint64_t gpa, uint64_t address, uint64_t bytes,
                                uint64_t flags);
MUST_CHECK enum status vm_revoke(struct vm *vm, uint64_t gpa, uint64_t bytes);
