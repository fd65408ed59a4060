// SPDX-License-Identifier: MIT
// Checked copies (user_copy.h) through the direct map, page by page, under the address space's
// lock, so that no mapping changes between the check and the copy.
#include "kernel/memory/user_copy.h"
#include "kernel/lib/string.h"
#include "kernel/memory/memory.h"

// Bytes from `address` to the end of its 4 KiB page, at most `size`.
static size_t chunk_size(uint64_t address, size_t size)
{
    uint64_t left = PAGE_SIZE - (address & PAGE_MASK);

    return size < left ? size : left;
}

static enum status check_locked(struct address_space *space, uint64_t start, size_t size,
                                bool writable)
{
    struct user_mapping mapping;

    if (!user_range(start, size)) {
        return STATUS_FAULT;
    }
    while (size > 0) {
        enum status status = address_space_translate_locked(space, start, &mapping);

        if (status != STATUS_OK || (writable && !mapping.writable)) {
            return STATUS_FAULT;
        }
        uint64_t left = mapping.page_size - (mapping.address.value & (mapping.page_size - 1));
        size_t step = size < left ? size : left;
        start += step;
        size -= step;
    }
    return STATUS_OK;
}

// Copies after check_locked has passed, so every page translates.
static void copy_locked(struct address_space *space, uint64_t user, uint8_t *kernel, size_t size,
                        bool to_user)
{
    struct user_mapping mapping;

    while (size > 0 && address_space_translate_locked(space, user, &mapping) == STATUS_OK) {
        size_t step = chunk_size(user, size);
        uint8_t *at = memory_pointer(mapping.address);

        memcpy(to_user ? at : kernel, to_user ? kernel : at, step);
        user += step;
        kernel += step;
        size -= step;
    }
}

static enum status copy(struct address_space *space, uint64_t user, uint8_t *kernel, size_t size,
                        bool to_user)
{
    ticket_lock_acquire(&space->lock);
    enum status status = check_locked(space, user, size, to_user);
    if (status == STATUS_OK) {
        copy_locked(space, user, kernel, size, to_user);
    }
    ticket_lock_release(&space->lock);
    return status;
}

enum status copy_from_user(struct address_space *space, void *destination, uint64_t source,
                           size_t size)
{
    return copy(space, source, destination, size, false);
}

enum status copy_to_user(struct address_space *space, uint64_t destination, const void *source,
                         size_t size)
{
    // Only read from: to_user is true.
    return copy(space, destination, (uint8_t *)(uintptr_t)source, size, true);
}

enum status user_range_check(struct address_space *space, uint64_t start, size_t size,
                             bool writable)
{
    ticket_lock_acquire(&space->lock);
    enum status status = check_locked(space, start, size, writable);
    ticket_lock_release(&space->lock);
    return status;
}

enum status address_space_write(struct address_space *space, uint64_t address, const void *source,
                                uint64_t size)
{
    ticket_lock_acquire(&space->lock);
    enum status status = check_locked(space, address, size, false);
    if (status == STATUS_OK) {
        copy_locked(space, address, (uint8_t *)(uintptr_t)source, size, true);
    }
    ticket_lock_release(&space->lock);
    return status;
}
