// SPDX-License-Identifier: MIT
// Handlers of the SYS_VM_* and SYS_VCPU_* system calls, for the system-call table. Arguments and
// results are those of kernel/abi/syscall.h; unused arguments are ignored. Each returns a value
// >= 0 or -(enum status), and runs on the calling thread with interrupts off.
#pragma once

#include <stdint.h>

#define VM_SYSTEM_CALLS(X)                                                                         \
    X(SYS_VM_CREATE, sys_vm_create)                                                                \
    X(SYS_VM_GRANT, sys_vm_grant)                                                                  \
    X(SYS_VM_REVOKE, sys_vm_revoke)                                                                \
    X(SYS_VM_SET_CPUID, sys_vm_set_cpuid)                                                          \
    X(SYS_VM_SET_MSR, sys_vm_set_msr)                                                              \
    X(SYS_VM_SET_PORT, sys_vm_set_port)                                                            \
    X(SYS_VM_INTERCEPT, sys_vm_intercept)                                                          \
    X(SYS_VCPU_CREATE, sys_vcpu_create)                                                            \
    X(SYS_VCPU_RUN, sys_vcpu_run)                                                                  \
    X(SYS_VCPU_DUMP, sys_vcpu_dump)                                                                \
    X(SYS_VCPU_LOG, sys_vcpu_log)                                                                  \
    X(SYS_VM_STATISTICS, sys_vm_statistics)

int64_t sys_vm_create(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);
int64_t sys_vm_grant(uint64_t vm, uint64_t gpa, uint64_t address, uint64_t bytes, uint64_t flags);
int64_t sys_vm_revoke(uint64_t vm, uint64_t gpa, uint64_t bytes, uint64_t d, uint64_t e);
int64_t sys_vm_set_cpuid(uint64_t vm, uint64_t entries, uint64_t count, uint64_t d, uint64_t e);
int64_t sys_vm_set_msr(uint64_t vm, uint64_t first, uint64_t last, uint64_t policy, uint64_t e);
int64_t sys_vm_set_port(uint64_t vm, uint64_t first, uint64_t last, uint64_t policy, uint64_t e);
int64_t sys_vm_intercept(uint64_t vm, uint64_t intercepts, uint64_t c, uint64_t d, uint64_t e);
int64_t sys_vcpu_create(uint64_t vm, uint64_t info, uint64_t c, uint64_t d, uint64_t e);
int64_t sys_vcpu_run(uint64_t vcpu, uint64_t flags, uint64_t c, uint64_t d, uint64_t e);
int64_t sys_vcpu_dump(uint64_t vcpu, uint64_t fields, uint64_t capacity, uint64_t d, uint64_t e);
int64_t sys_vcpu_log(uint64_t vcpu, uint64_t b, uint64_t c, uint64_t d, uint64_t e);
int64_t sys_vm_statistics(uint64_t vm, uint64_t statistics, uint64_t c, uint64_t d, uint64_t e);
