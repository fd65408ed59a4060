// SPDX-License-Identifier: MIT
// VM objects: creation, guest memory granted and revoked by range, and the end. Called by the
// system calls and the handle table; struct vm's lock guards what they change.
#include "kernel/vm/vm.h"

#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/paging/layout.h"
#include "kernel/core/event_log.h"
#include "kernel/core/log.h"
#include "kernel/memory/memory.h"
#include "kernel/vm/log.h"
#include "kernel/vm/objects.h"

const struct virt_ops *virt_backend;
static struct vm_support support;

// -- the machine ------------------------------------------------------------------------------

static enum status start_cpu(const struct virt_ops *ops)
{
    struct virt_page page;
    enum status status =
        page_allocate(&kernel_pages, PAGE_OWNER_KERNEL, PAGE_SIZE, PAGE_ZEROED, &page.physical);

    if (status == STATUS_OK) {
        page.address = memory_pointer(page.physical);
        status = ops->cpu_start(&page);
    }
    return status;
}

enum status vm_start_cpu(void)
{
    return virt_backend != NULL ? start_cpu(virt_backend) : STATUS_OK;
}

void virt_init(void)
{
    const struct virt_ops *ops = virt_probe(&support);

    if (ops != NULL) {
        enum status status = start_cpu(ops);

        if (status == STATUS_OK) {
            virt_backend = event_log_on ? vm_log_events(ops) : ops;
        } else {
            support.lack = VM_LACKS_START;
            support.bits = (uint64_t)status;
        }
    }
}

const struct vm_support *virt_support(void)
{
    return &support;
}

void vm_drop_translations(void)
{
    if (virt_backend != NULL) {
        virt_backend->invalidate();
    }
}

// -- page tables ------------------------------------------------------------------------------

static struct page_source page_source(struct vm *vm)
{
    return memory_page_source(vm->container);
}

// On every CPU that may have cached any.
static void drop_translations(const struct vm *vm)
{
    vm_drop_translations();
    shootdown(&vm->cpus);
}

// -- creation and end -------------------------------------------------------------------------

bool virt_pages_allocate(uint32_t container, struct virt_page *pages, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        pages[i].address = memory_allocate_object(container);
        if (pages[i].address == NULL) {
            return false;
        }
        pages[i].physical = memory_address(pages[i].address);
    }
    return true;
}

void virt_pages_free(uint32_t container, const struct virt_page *pages, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (pages[i].address != NULL) {
            memory_free_object(container, pages[i].address);
        }
    }
}

// The last reference is gone.
static void destroy(struct object *object)
{
    struct vm *vm = CONTAINER_OF(object, struct vm, object);
    struct page_source source = page_source(vm);

    while (vm->vcpus != NULL) {
        struct vcpu *vcpu = vm->vcpus;

        vm->vcpus = vcpu->next;
        vcpu_free(vcpu);
    }
    drop_translations(vm);
    page_table_destroy(&vm->nested, &source);
    for (unsigned i = 0; i < VM_GRANT_MAXIMUM; i++) {
        if (vm->grants[i].bytes != 0) {
            address_space_unpin(&vm->process->space, vm->grants[i].address);
        }
    }
    virt_pages_free(vm->container, vm->pages, VM_PAGES);
}

enum status vm_create(struct process *process, struct vm **result)
{
    struct vm *vm;
    struct page_source source;
    enum status status;

    if (virt_backend == NULL) {
        return STATUS_UNSUPPORTED;
    }
    vm = object_create(process->container, 1, destroy);
    if (vm == NULL) {
        return STATUS_QUOTA;
    }
    vm->process = process;
    vm->container = process->container;
    lock_initialize(&vm->lock, LOCK_VM);
    source = page_source(vm);
    status = virt_pages_allocate(vm->container, vm->pages, VM_PAGES)
                 ? page_table_create(&vm->nested, virt_backend->nested_format,
                                     virt_backend->nested_largest(), DIRECT_MAP_BASE,
                                     1ull << cpu_features()->physical_bits, &source)
                 : STATUS_QUOTA;
    if (status != STATUS_OK) {
        virt_pages_free(vm->container, vm->pages, VM_PAGES);
        memory_free_object(vm->container, vm);
        return status;
    }
    vm->cpuid = vm->pages[VIRT_VM_PAGES].address;
    vm->grants = vm->pages[VIRT_VM_PAGES + 1].address;
    vm->virt.cpuid = vm->cpuid;
    virt_backend->vm_init(&vm->virt, vm->pages, &vm->nested);
    *result = vm;
    return STATUS_OK;
}

// -- guest memory -----------------------------------------------------------------------------

static uint32_t nested_permissions(uint32_t flags)
{
    return PAGE_READ | ((flags & VM_GRANT_WRITE) != 0 ? PAGE_WRITE : 0) |
           ((flags & VM_GRANT_EXECUTE) != 0 ? PAGE_EXECUTE : 0);
}

// Maps the process's pages one by one, with as large pages as both sides allow. *done: bytes
// mapped.
static enum status map_pages(struct vm *vm, const struct vm_grant *grant, uint32_t flags,
                             uint64_t *done)
{
    struct page_source source = page_source(vm);

    *done = 0;
    while (*done < grant->bytes) {
        struct user_mapping mapping;
        uint64_t address = grant->address + *done;
        uint64_t size = grant->bytes - *done;
        uint64_t in_page;
        enum status status = address_space_translate(&vm->process->space, address, &mapping);

        if (status != STATUS_OK) {
            return status;
        }
        in_page = mapping.page_size - (address & (mapping.page_size - 1));
        size = size < in_page ? size : in_page;
        status = page_table_map(&vm->nested, grant->gpa + *done, mapping.address, size,
                                nested_permissions(flags), MEMORY_WRITE_BACK, &source);
        if (status != STATUS_OK) {
            return status;
        }
        *done += size;
        if (is_aligned(*done, LARGE_PAGE_SIZE)) {
            interrupt_window();
        }
    }
    return STATUS_OK;
}

static struct vm_grant *free_grant(struct vm *vm)
{
    for (unsigned i = 0; i < VM_GRANT_MAXIMUM; i++) {
        if (vm->grants[i].bytes == 0) {
            return &vm->grants[i];
        }
    }
    return NULL;
}

static bool overlaps_grant(const struct vm *vm, uint64_t gpa, uint64_t bytes)
{
    for (unsigned i = 0; i < VM_GRANT_MAXIMUM; i++) {
        const struct vm_grant *grant = &vm->grants[i];

        if (grant->bytes != 0 && gpa < grant->gpa + grant->bytes && grant->gpa < gpa + bytes) {
            return true;
        }
    }
    return false;
}

// Unmaps what map_pages mapped. Whole pages of ours never have to be split, so this needs no
// memory.
static void unmap_pages(struct vm *vm, uint64_t gpa, uint64_t bytes)
{
    struct page_source source = page_source(vm);

    if (bytes != 0 && page_table_unmap(&vm->nested, gpa, bytes, &source) != STATUS_OK) {
        log_line(LOG_ERROR, "vm: guest memory at %llx could not be unmapped",
                 (unsigned long long)gpa);
    }
    drop_translations(vm);
}

static enum status grant_locked(struct vm *vm, const struct vm_grant *wanted, uint32_t flags)
{
    struct vm_grant *grant = free_grant(vm);
    uint64_t done;
    enum status status;

    if (grant == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (overlaps_grant(vm, wanted->gpa, wanted->bytes)) {
        return STATUS_BUSY;
    }
    status = address_space_pin(&vm->process->space, wanted->address, wanted->bytes,
                               (flags & VM_GRANT_WRITE) != 0);
    if (status != STATUS_OK) {
        return status;
    }
    status = map_pages(vm, wanted, flags, &done);
    if (status != STATUS_OK) {
        unmap_pages(vm, wanted->gpa, done);
        address_space_unpin(&vm->process->space, wanted->address);
        return status;
    }
    *grant = *wanted;
    vm->granted_bytes += wanted->bytes;
    return STATUS_OK;
}

enum status vm_grant(struct vm *vm, uint64_t gpa, uint64_t address, uint64_t bytes, uint64_t flags)
{
    const struct vm_grant wanted = {gpa, bytes, address};
    enum status status;

    if (bytes == 0 || !is_aligned(gpa | address | bytes, PAGE_SIZE) ||
        !range_fits(gpa, bytes, 1ull << cpu_features()->physical_bits) ||
        !user_range(address, bytes) || (flags & VM_GRANT_READ) == 0 ||
        flags > (VM_GRANT_READ | VM_GRANT_WRITE | VM_GRANT_EXECUTE)) {
        return STATUS_INVALID;
    }
    lock_acquire(&vm->lock);
    status = grant_locked(vm, &wanted, (uint32_t)flags);
    lock_release(&vm->lock);
    return status;
}

enum status vm_revoke(struct vm *vm, uint64_t gpa, uint64_t bytes)
{
    enum status status = STATUS_NOT_FOUND;

    lock_acquire(&vm->lock);
    for (unsigned i = 0; i < VM_GRANT_MAXIMUM; i++) {
        struct vm_grant *grant = &vm->grants[i];

        if (grant->bytes != 0 && grant->gpa == gpa && grant->bytes == bytes) {
            unmap_pages(vm, gpa, bytes);
            address_space_unpin(&vm->process->space, grant->address);
            vm->granted_bytes -= bytes;
            grant->bytes = 0;
            status = STATUS_OK;
            break;
        }
    }
    lock_release(&vm->lock);
    return status;
}
