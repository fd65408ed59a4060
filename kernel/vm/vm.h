// SPDX-License-Identifier: MIT
// VM and vCPU objects. A VM belongs to one process and is charged to its container; a vCPU belongs
// to one VM and to the thread that created it. Handles of both kinds live in the process' handle
// table, which calls vm_release and vcpu_release when a handle is closed or the process ends.
#pragma once

#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

struct vm;
struct vcpu;

// Turns virtualisation on for the CPU that boots. Called once, after the page allocator works.
// The result is kept: VMs can be made only after STATUS_OK.
enum status virt_init(void);

// The result of virt_init, and a sentence that says what is missing and what to do about it (""
// after STATUS_OK). For process_info.vm_support and vm_support_reason.
enum status virt_support(void);
const char *virt_support_reason(void);

// Ends a vCPU or a VM (with all its vCPUs) and returns every page to the container. Closing a
// vCPU's handle keeps the vCPU until its VM is released; so vcpu_release only drops the handle.
// Called with interrupts off on the CPU of the threads concerned, none of them inside vcpu_run.
void vm_release(struct vm *vm);
void vcpu_release(struct vcpu *vcpu);

// The thread that runs `vcpu` has ended: its state leaves this CPU's registers. Null is allowed.
void vcpu_thread_ended(struct vcpu *vcpu);
