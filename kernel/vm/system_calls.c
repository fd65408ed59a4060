// SPDX-License-Identifier: MIT
// The SYS_VM_* and SYS_VCPU_* system calls: look up the handle, check the arguments, copy in and
// out, and call the objects. Run on the calling thread with interrupts off.
#include "kernel/vm/system_calls.h"

#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "kernel/lib/string.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/user_copy.h"
#include "kernel/thread/thread.h"
#include "kernel/vm/objects.h"

static int64_t result_of(enum status status)
{
    return -(int64_t)status;
}

// With a reference, for put_vm, so that another thread's closing the handle does not end the VM
// meanwhile. Null: none.
static enum status find_vm(uint64_t handle, struct vm **vm)
{
    void *object = NULL;
    enum status status = process_handle_get(current_process(), handle, HANDLE_VM, &object);

    *vm = object;
    return status;
}

// Drops the reference; the call ends with `status`.
static int64_t put_vm(struct vm *vm, enum status status)
{
    if (vm != NULL) {
        object_release(&vm->object);
    }
    return result_of(status);
}

// Why the handle is not the running thread's vCPU: a vCPU answers to its own thread only.
static NOINLINE enum status refuse_vcpu(uint64_t handle)
{
    void *object;
    enum status status = process_handle_get(current_process(), handle, HANDLE_VCPU, &object);

    return status != STATUS_OK ? status : STATUS_DENIED;
}

static inline enum status find_vcpu(const struct thread *thread, uint64_t handle,
                                    struct vcpu **vcpu)
{
    *vcpu = thread->vcpu;
    return LIKELY(*vcpu != NULL && (*vcpu)->handle == handle) ? STATUS_OK : refuse_vcpu(handle);
}

int64_t sys_vm_create(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    struct process *process = current_process();
    struct vm *vm;
    uint32_t handle;
    enum status status = vm_create(process, &vm);

    (void)a, (void)b, (void)c, (void)d, (void)e;
    if (status != STATUS_OK) {
        return result_of(status);
    }
    status = process_handle_add(process, HANDLE_VM, vm, &handle);
    if (status != STATUS_OK) {
        return put_vm(vm, status);
    }
    return handle;
}

int64_t sys_vm_grant(uint64_t vm_handle, uint64_t gpa, uint64_t address, uint64_t bytes,
                     uint64_t flags)
{
    struct vm *vm;
    enum status status = find_vm(vm_handle, &vm);

    if (status == STATUS_OK) {
        status = flags <= UINT32_MAX ? vm_grant(vm, gpa, address, bytes, (uint32_t)flags)
                                     : STATUS_INVALID;
    }
    return put_vm(vm, status);
}

int64_t sys_vm_revoke(uint64_t vm_handle, uint64_t gpa, uint64_t bytes, uint64_t d, uint64_t e)
{
    struct vm *vm;
    enum status status = find_vm(vm_handle, &vm);

    (void)d, (void)e;
    return put_vm(vm, status == STATUS_OK ? vm_revoke(vm, gpa, bytes) : status);
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

int64_t sys_vm_set_cpuid(uint64_t vm_handle, uint64_t entries, uint64_t count, uint64_t d,
                         uint64_t e)
{
    struct vm *vm;
    enum status status = find_vm(vm_handle, &vm);

    (void)d, (void)e;
    if (status == STATUS_OK) {
        status = count <= VM_CPUID_MAXIMUM ? set_cpuid(vm, entries, count) : STATUS_INVALID;
    }
    return put_vm(vm, status);
}

static enum status set_msrs(struct vm *vm, uint64_t first, uint64_t last, bool pass)
{
    enum status status;

    if (first > last || last > UINT32_MAX) {
        return STATUS_INVALID;
    }
    lock_acquire(&vm->lock);
    status = virt_backend->vm_pass_msrs(&vm->virt, (uint32_t)first, (uint32_t)last, pass);
    lock_release(&vm->lock);
    return status;
}

int64_t sys_vm_set_msr(uint64_t vm_handle, uint64_t first, uint64_t last, uint64_t policy,
                       uint64_t e)
{
    struct vm *vm;
    enum status status = find_vm(vm_handle, &vm);

    (void)e;
    if (status == STATUS_OK) {
        status = policy <= VM_MSR_PASSTHROUGH
                     ? set_msrs(vm, first, last, policy == VM_MSR_PASSTHROUGH)
                     : STATUS_INVALID;
    }
    return put_vm(vm, status);
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

int64_t sys_vm_set_port(uint64_t vm_handle, uint64_t first, uint64_t last, uint64_t policy,
                        uint64_t e)
{
    struct vm *vm;
    enum status status = find_vm(vm_handle, &vm);

    (void)e;
    if (status == STATUS_OK && (first > last || last > 0xffff || policy > VM_PORT_FLOAT)) {
        status = STATUS_INVALID;
    }
    if (status == STATUS_OK) {
        set_ports(vm, first, last, policy == VM_PORT_FLOAT);
    }
    return put_vm(vm, status);
}

int64_t sys_vm_intercept(uint64_t vm_handle, uint64_t intercepts, uint64_t c, uint64_t d,
                         uint64_t e)
{
    struct vm *vm;
    int64_t result = result_of(find_vm(vm_handle, &vm));

    (void)c, (void)d, (void)e;
    if (result == 0) {
        lock_acquire(&vm->lock);
        result = vm->vcpu_count != 0 ? result_of(STATUS_STATE)
                 : intercepts > UINT32_MAX
                     ? result_of(STATUS_INVALID)
                     : virt_backend->vm_intercept(&vm->virt, (uint32_t)intercepts);
        lock_release(&vm->lock);
        (void)put_vm(vm, STATUS_OK);
    }
    return result;
}

int64_t sys_vcpu_create(uint64_t vm_handle, uint64_t info_address, uint64_t c, uint64_t d,
                        uint64_t e)
{
    struct process *process = current_process();
    struct vcpu_info info = {0};
    struct vcpu *vcpu;
    struct vm *vm;
    enum status status = find_vm(vm_handle, &vm);

    (void)c, (void)d, (void)e;
    if (status == STATUS_OK) {
        status = user_range_check(&process->space, info_address, sizeof(info), true);
    }
    if (status == STATUS_OK) {
        status = vcpu_create(vm, &vcpu);
    }
    (void)put_vm(vm, status);
    if (status != STATUS_OK) {
        return result_of(status);
    }
    info.page = vcpu->user_page;
    info.apic_page = vcpu->user_apic;
    info.index = vcpu->index;
    status = copy_to_user(&process->space, info_address, &info, sizeof(info));
    return status == STATUS_OK ? (int64_t)vcpu->handle : result_of(status);
}

int64_t sys_vcpu_run(uint64_t vcpu_handle, uint64_t flags, uint64_t c, uint64_t d, uint64_t e)
{
    const struct thread *thread = current_thread();
    struct vcpu *vcpu;
    enum status status = find_vcpu(thread, vcpu_handle, &vcpu);

    (void)c, (void)d, (void)e;
    return result_of(status == STATUS_OK ? vcpu_run(vcpu, thread, flags) : status);
}

int64_t sys_vcpu_dump(uint64_t vcpu_handle, uint64_t fields, uint64_t capacity, uint64_t d,
                      uint64_t e)
{
    struct vcpu *vcpu;
    struct vcpu_field *buffer;
    size_t count;
    enum status status = find_vcpu(current_thread(), vcpu_handle, &vcpu);

    (void)d, (void)e;
    if (status != STATUS_OK) {
        return result_of(status);
    }
    buffer = memory_allocate_object(vcpu->vm->container);
    if (buffer == NULL) {
        return result_of(STATUS_QUOTA);
    }
    vcpu_make_loaded(vcpu);
    count = virt_backend->vcpu_dump(&vcpu->virt, buffer, PAGE_SIZE / sizeof(*buffer));
    count = count < capacity ? count : capacity;
    status = copy_to_user(&vcpu->vm->process->space, fields, buffer, count * sizeof(*buffer));
    memory_free_object(vcpu->vm->container, buffer);
    return status == STATUS_OK ? (int64_t)count : result_of(status);
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

int64_t sys_vm_statistics(uint64_t vm_handle, uint64_t statistics, uint64_t c, uint64_t d,
                          uint64_t e)
{
    struct vm_statistics sum;
    struct vm *vm;
    enum status status = find_vm(vm_handle, &vm);

    (void)c, (void)d, (void)e;
    if (status == STATUS_OK) {
        sum_statistics(vm, &sum);
        status = copy_to_user(&vm->process->space, statistics, &sum, sizeof(sum));
    }
    return put_vm(vm, status);
}
