// SPDX-License-Identifier: MIT
// Checked copies (user_copy.h) through the direct map, page by page, under the address space's
// lock, so that no mapping changes between the check and the copy.
#include "kernel/memory/user_copy.h"
#include "kernel/lib/string.h"
#include "kernel/memory/memory.h"

enum direction { CHECK_ONLY, FROM_USER, TO_USER };

// Goes through the user range [user, user + size), mapping by mapping.
static enum status walk(struct address_space *space, uint64_t user, uint8_t *kernel, size_t size,
                        bool writable, enum direction direction)
{
    struct user_mapping mapping;

    while (size > 0) {
        enum status status = address_space_translate_locked(space, user, &mapping);

        if (status != STATUS_OK || (writable && !mapping.writable)) {
            return STATUS_FAULT;
        }
        uint64_t left = mapping.page_size - (mapping.address.value & (mapping.page_size - 1));
        size_t step = size < left ? size : left;
        if (direction != CHECK_ONLY) {
            uint8_t *at = memory_pointer(mapping.address);

            memcpy(direction == TO_USER ? at : kernel, direction == TO_USER ? kernel : at, step);
            kernel += step;
        }
        user += step;
        size -= step;
    }
    return STATUS_OK;
}

// Checks all of the range before it copies anything; a single page is checked as it is copied.
static enum status copy(struct address_space *space, uint64_t user, uint8_t *kernel, size_t size,
                        bool writable, enum direction direction)
{
    if (!user_range(user, size)) {
        return STATUS_FAULT;
    }
    bool one_page = size <= PAGE_SIZE - user % PAGE_SIZE;
    enum status status = STATUS_OK;

    lock_acquire(&space->lock);
    if (!one_page) {
        status = walk(space, user, NULL, size, writable, CHECK_ONLY);
    }
    if (status == STATUS_OK && (one_page || direction != CHECK_ONLY)) {
        status = walk(space, user, kernel, size, writable, direction);
    }
    lock_release(&space->lock);
    return status;
}

enum status copy_from_user(struct address_space *space, void *destination, uint64_t source,
                           size_t size)
{
    return copy(space, source, destination, size, false, FROM_USER);
}

// With TO_USER the kernel's side is only read.
enum status copy_to_user(struct address_space *space, uint64_t destination, const void *source,
                         size_t size)
{
    return copy(space, destination, (uint8_t *)(uintptr_t)source, size, true, TO_USER);
}

enum status user_range_check(struct address_space *space, uint64_t start, size_t size,
                             bool writable)
{
    return copy(space, start, NULL, size, writable, CHECK_ONLY);
}

enum status address_space_write(struct address_space *space, uint64_t address, const void *source,
                                uint64_t size)
{
    return copy(space, address, (uint8_t *)(uintptr_t)source, size, false, TO_USER);
}
