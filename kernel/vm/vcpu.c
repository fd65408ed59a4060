// SPDX-License-Identifier: MIT
// vCPU objects: creation, which vCPU's state a CPU holds, and the end. A vCPU is used by the thread
// that created it, and so by one CPU; the VM's lock guards only the list.
#include "arch/x86/cpu/cpu.h"
#include "kernel/memory/memory.h"
#include "kernel/thread/thread.h"
#include "kernel/vm/log.h"
#include "kernel/vm/objects.h"

// The vCPU whose state is in the registers of each CPU; written by that CPU only.
static struct vcpu *loaded[CPU_MAXIMUM];

static void unload_current(void)
{
    struct vcpu **here = &loaded[this_cpu()->id];

    if (*here != NULL) {
        virt_backend->vcpu_unload(&(*here)->virt);
        (*here)->loaded = false;
        *here = NULL;
    }
}

static void set_loaded(struct vcpu *vcpu)
{
    cpu_set_join(&vcpu->vm->cpus);
    loaded[this_cpu()->id] = vcpu;
    vcpu->loaded = true;
}

void vcpu_load(struct vcpu *vcpu)
{
    unload_current();
    virt_backend->vcpu_load(&vcpu->virt);
    set_loaded(vcpu);
}

static void free_pages(struct vcpu *vcpu)
{
    uint32_t container = vcpu->vm->container;

    virt_pages_free(container, vcpu->pages, VCPU_PAGES);
    memory_free_object(container, vcpu);
}

// Shows the process one of the pages.
static enum status show(struct vcpu *vcpu, uint32_t page, uint64_t *address)
{
    return address_space_map_borrowed(&vcpu->vm->process->space, vcpu->pages[page].physical,
                                      PAGE_SIZE, USER_WRITE, address);
}

static void hide(struct vcpu *vcpu)
{
    struct address_space *space = &vcpu->vm->process->space;

    if (vcpu->user_page != 0) {
        (void)!address_space_free(space, vcpu->user_page, PAGE_SIZE, REGION_BORROWED);
    }
    if (vcpu->user_apic != 0) {
        (void)!address_space_free(space, vcpu->user_apic, PAGE_SIZE, REGION_BORROWED);
    }
}

// Gives the thread its vCPU, with a handle that holds a reference to the VM.
static enum status enter_handle(struct vcpu *vcpu)
{
    vcpu->thread->vcpu = vcpu;
    atomic_store_explicit(&vcpu->attached, true, memory_order_relaxed);
    object_acquire(&vcpu->vm->object);
    enum status status = process_handle_add(vcpu->vm->process, HANDLE_VCPU, vcpu, &vcpu->handle);
    if (status != STATUS_OK) {
        (void)vcpu_release(vcpu);
    }
    return status;
}

static_assert(STACK_SLOT_COUNT - 1 <= UINT16_MAX, "a slot's number identifies an address space");

// Maps the pages that the monitor sees and makes the vCPU the one that this CPU holds.
static enum status start(struct vcpu *vcpu)
{
    enum status status = show(vcpu, VIRT_VCPU_PAGES, &vcpu->user_page);

    if (status == STATUS_OK && virt_backend->apic_offered()) {
        status = show(vcpu, VIRT_APIC_PAGE, &vcpu->user_apic);
    }
    if (status == STATUS_OK) {
        unload_current();
        // The slot of a stack is one thread's, and a thread has one vCPU.
        status = virt_backend->vcpu_init(&vcpu->virt, &vcpu->vm->virt,
                                         vcpu->pages[VIRT_VCPU_PAGES].address, vcpu->pages,
                                         (uint16_t)vcpu->thread->stack.slot);
    }
    if (status == STATUS_OK) {
        set_loaded(vcpu);
        status = enter_handle(vcpu);
    }
    if (status != STATUS_OK) {
        hide(vcpu);
    }
    return status;
}

enum status vcpu_create(struct vm *vm, struct vcpu **result)
{
    struct thread *thread = current_thread();

    if (thread->vcpu != NULL) {
        return STATUS_STATE;
    }
    struct vcpu *vcpu = memory_allocate_object(vm->container);
    if (vcpu == NULL) {
        return STATUS_QUOTA;
    }
    vcpu->vm = vm;
    vcpu->thread = thread;
    vcpu->cpu = this_cpu();
    enum status status =
        virt_pages_allocate(vm->container, vcpu->pages, VCPU_PAGES) ? start(vcpu) : STATUS_QUOTA;
    if (status != STATUS_OK) {
        free_pages(vcpu);
        return status;
    }
    lock_acquire(&vm->lock);
    vcpu->index = vm->vcpu_count++;
    vcpu->next = vm->vcpus;
    vm->vcpus = vcpu;
    lock_release(&vm->lock);
    *result = vcpu;
    return STATUS_OK;
}

// Ends the vCPU's hardware state, on the only CPU that can hold it: nobody runs it any more.
static void detach(struct vcpu *vcpu)
{
    struct vcpu **here = &loaded[this_cpu()->id];

    if (*here == vcpu) {
        *here = NULL; // its registers are garbage from now on; the next load overwrites them
    }
    vcpu->loaded = false;
    vcpu->running = false;
    virt_backend->vcpu_destroy(&vcpu->virt);
    vcpu->thread->vcpu = NULL;
    vcpu->thread = NULL;
    // Release: pairs with the load in vcpu_release, whose caller may free it all.
    atomic_store_explicit(&vcpu->attached, false, memory_order_release);
}

void vcpu_thread_ended(struct vcpu *vcpu)
{
    if (vcpu != NULL) {
        detach(vcpu);
    }
}

enum status vcpu_release(struct vcpu *vcpu)
{
    if (atomic_load_explicit(&vcpu->attached, memory_order_acquire)) {
        if (vcpu->cpu != this_cpu() || vcpu->running) {
            return STATUS_BUSY;
        }
        detach(vcpu);
    }
    object_release(&vcpu->vm->object);
    return STATUS_OK;
}

void vcpu_free(struct vcpu *vcpu)
{
    vcpu_log_free(vcpu);
    hide(vcpu);
    free_pages(vcpu);
}
