// SPDX-License-Identifier: MIT
// The log of a vCPU's exits (kernel/abi/exit_log.h). Used by the vCPU's thread only, in runs with
// VCPU_RUN_LOG; other runs never come here.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "arch/x86/virt/virt.h"
#include "kernel/lib/compiler.h"
#include "kernel/vm/objects.h"

// The beginning and the end of a run.
void vcpu_log_call(struct vcpu *vcpu);
void vcpu_log_return(struct vcpu *vcpu);

// Enters the guest as virt_ops.vcpu_enter does, and writes the record of its exit.
enum virt_outcome vcpu_log_enter(struct vcpu *vcpu, uint64_t deadline);

// True when the next exit finds no room: the monitor has to take records first.
static inline bool vcpu_log_full(const struct vcpu *vcpu)
{
    return vcpu->log_begun - vcpu->log->taken >= VCPU_LOG_RECORDS;
}

// Gives the log back, if there is one.
void vcpu_log_free(struct vcpu *vcpu);

// `ops`, but each entry of a guest and each return from it stands in the log of events. Once.
const struct virt_ops *vm_log_events(const struct virt_ops *ops);
