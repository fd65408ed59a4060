// SPDX-License-Identifier: MIT
// The SYS_VM_* and SYS_VCPU_* system calls: check the arguments, copy in and out, and call the
// objects. Run on the calling thread with interrupts off.
#include "arch/x86/cpu/registers.h"
#include "kernel/core/calls.h"
#include "kernel/lib/string.h"
#include "kernel/memory/memory.h"
#include "kernel/thread/thread.h"
#include "kernel/vm/objects.h"

// Why the handle is not the running thread's vCPU: a vCPU answers to its own thread only.
static NOINLINE enum status refuse_vcpu(uint64_t handle)
{
    struct handle other;
    enum status status = process_handle_take(current_process(), handle, HANDLE_VCPU, &other);

    return status != STATUS_OK ? status : STATUS_DENIED;
}

static inline enum status find_vcpu(const struct thread *thread, uint64_t handle,
                                    struct vcpu **vcpu)
{
    *vcpu = thread->vcpu;
    return LIKELY(*vcpu != NULL && (*vcpu)->handle == handle) ? STATUS_OK : refuse_vcpu(handle);
}

SYSTEM_CALL(sys_vm_create)
{
    struct vm *vm;
    enum status status = vm_create(current_process(), &vm);

    return status == STATUS_OK ? call_new_handle(HANDLE_VM, vm) : call_error(status);
}

HANDLE_CALL(sys_vm_grant)
{
    return call_error(vm_grant(handle->object, b, c, d, e));
}

HANDLE_CALL(sys_vm_revoke)
{
    return call_error(vm_revoke(handle->object, b, c));
}

// The new table is built aside, so that a refused one changes nothing.
static enum status set_cpuid(struct vm *vm, uint64_t entries, uint64_t count)
{
    struct cpuid_table *table = memory_allocate_object(vm->container);
    enum status status;

    if (table == NULL) {
        return STATUS_QUOTA;
    }
    status = copy_from_user(&vm->process->space, table->entries, entries,
                            count * sizeof(table->entries[0]));
    if (status == STATUS_OK) {
        status = cpuid_table_build(table, count);
    }
    if (status == STATUS_OK) {
        lock_acquire(&vm->lock);
        memcpy(vm->cpuid, table, sizeof(*table));
        lock_release(&vm->lock);
    }
    memory_free_object(vm->container, table);
    return status;
}

HANDLE_CALL(sys_vm_set_cpuid)
{
    return call_error(c <= VM_CPUID_MAXIMUM ? set_cpuid(handle->object, b, c) : STATUS_INVALID);
}

HANDLE_CALL(sys_vm_set_msr)
{
    struct vm *vm = handle->object;

    if (b > c || c > UINT32_MAX || d > VM_MSR_PASSTHROUGH) {
        return call_error(STATUS_INVALID);
    }
    lock_acquire(&vm->lock);
    enum status status =
        virt_backend->vm_pass_msrs(&vm->virt, (uint32_t)b, (uint32_t)c, d == VM_MSR_PASSTHROUGH);
    lock_release(&vm->lock);
    return call_error(status);
}

static void set_ports(struct vm *vm, uint64_t first, uint64_t last, bool floats)
{
    lock_acquire(&vm->lock);
    for (uint64_t port = first; port <= last; port++) {
        uint64_t *word = &vm->virt.port_map[port / VIRT_PORT_MAP_BITS][port / 64 % 512];
        uint64_t bit = 1ull << (port & 63);

        *word = floats ? *word | bit : *word & ~bit;
    }
    lock_release(&vm->lock);
}

HANDLE_CALL(sys_vm_set_port)
{
    if (b > c || c > UINT16_MAX || d > VM_PORT_FLOAT) {
        return call_error(STATUS_INVALID);
    }
    set_ports(handle->object, b, c, d == VM_PORT_FLOAT);
    return 0;
}

HANDLE_CALL(sys_vm_intercept)
{
    struct vm *vm = handle->object;

    lock_acquire(&vm->lock);
    int64_t result = vm->vcpu_count != 0 ? call_error(STATUS_STATE)
                     : b > UINT32_MAX    ? call_error(STATUS_INVALID)
                                         : virt_backend->vm_intercept(&vm->virt, (uint32_t)b);
    lock_release(&vm->lock);
    return result;
}

HANDLE_CALL(sys_vcpu_create)
{
    struct vcpu_info info = {0};
    struct vcpu *vcpu;
    enum status status = user_range_check(caller_space(), b, sizeof(info), true);

    if (status == STATUS_OK) {
        status = vcpu_create(handle->object, &vcpu);
    }
    if (status != STATUS_OK) {
        return call_error(status);
    }
    info.page = vcpu->user_page;
    info.apic_page = vcpu->user_apic;
    info.index = vcpu->index;
    return call_result(copy_to_user(caller_space(), b, &info, sizeof(info)), vcpu->handle);
}

SYSTEM_CALL(sys_vcpu_run)
{
    const struct thread *thread = current_thread();
    struct vcpu *vcpu;
    enum status status = find_vcpu(thread, a, &vcpu);

    return call_error(status == STATUS_OK ? vcpu_run(vcpu, thread, b) : status);
}

SYSTEM_CALL(sys_vcpu_read)
{
    struct vcpu *vcpu;
    uint64_t value;
    enum status status = find_vcpu(current_thread(), a, &vcpu);

    if (status == STATUS_OK) {
        vcpu_make_loaded(vcpu);
        status = virt_backend->vcpu_read(&vcpu->virt, b, &value) ? STATUS_OK : STATUS_NOT_FOUND;
    }
    if (status == STATUS_OK) {
        status = copy_to_user(caller_space(), c, &value, sizeof(value));
    }
    return call_error(status);
}

// Of a vCPU that may be in its guest, on another CPU: its count is below zero then.
static uint64_t ticks_in_guest(const struct virt_vcpu *vcpu)
{
    uint64_t ticks = __atomic_load_n(&vcpu->guest_ticks, __ATOMIC_RELAXED); // its CPU writes it

    return (int64_t)ticks < 0 ? ticks + tsc_read() : ticks;
}

static void sum_statistics(struct vm *vm, struct vm_statistics *sum)
{
    memset(sum, 0, sizeof(*sum));
    lock_acquire(&vm->lock);
    sum->granted_bytes = vm->granted_bytes;
    for (const struct vcpu *vcpu = vm->vcpus; vcpu != NULL; vcpu = vcpu->next) {
        sum->exits_to_monitor += vcpu->exits_to_monitor;
        sum->guest_ticks += ticks_in_guest(&vcpu->virt);
        for (unsigned i = 0; i < VIRT_REASON_COUNT; i++) {
            sum->exits_in_kernel += vcpu->virt.finished[i];
            sum->kernel_by_reason[i] += vcpu->virt.finished[i];
        }
    }
    lock_release(&vm->lock);
}

HANDLE_CALL(sys_vm_statistics)
{
    struct vm_statistics sum;

    sum_statistics(handle->object, &sum);
    return call_error(copy_to_user(caller_space(), b, &sum, sizeof(sum)));
}
