// SPDX-License-Identifier: MIT
// VM and vCPU objects. A VM belongs to one process and is charged to its container; a vCPU belongs
// to one VM and to the thread that created it. Handles of both kinds live in the process' handle
// table. A VM is a counted object (kernel/memory/object.h): the last reference ends it, with its
// vCPUs, and returns every page to the container.
#pragma once

#include <stdint.h>
#include "kernel/abi/vm_support.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

struct vm;
struct vcpu;

// Turns virtualisation on for the CPU that boots. Called once, after the page allocator works.
void virt_init(void);

// Does the same for another CPU; STATUS_OK too where the boot CPU has no virtualisation.
MUST_CHECK enum status vm_start_cpu(void);

// What virt_init found: VMs can be made only where nothing is missing.
const struct vm_support *virt_support(void);

// Drops what this CPU cached of the VMs' nested page tables.
void vm_drop_translations(void);

// Drops the handle of a vCPU. The vCPU itself lives as long as its VM. STATUS_BUSY: it is inside
// vcpu_run, or its thread lives on another CPU, which alone can give up its state.
enum status vcpu_release(struct vcpu *vcpu);

// The thread that runs `vcpu` (thread->vcpu) ends: nobody can run it any more. Null is allowed.
void vcpu_thread_ended(struct vcpu *vcpu);
