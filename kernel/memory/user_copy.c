// SPDX-License-Identifier: MIT
// Checked copies (user_copy.h) through the direct map, page by page, under the address space's
// lock, so that no mapping changes between the check and the copy.
#include "kernel/memory/user_copy.h"
#include "kernel/lib/string.h"
#include "kernel/memory/memory.h"

enum direction { CHECK_ONLY, FROM_USER, TO_USER };

// Looks a user page up and remembers it, until something is unmapped; false: it is not user memory
// with that permission.
static NOINLINE bool remember(struct address_space *space, uint64_t user, bool writable)
{
    struct user_mapping mapping;

    if (address_space_translate_locked(space, user, &mapping) != STATUS_OK ||
        (writable && !mapping.writable)) {
        return false;
    }
    space->recent[writable] =
        (struct recent_page){user | PAGE_MASK, (uint64_t)memory_pointer(mapping.address) - user};
    return true;
}

// Where the kernel sees a byte of the user; null: nowhere.
static inline uint8_t *locate(struct address_space *space, uint64_t user, bool writable)
{
    const struct recent_page *recent = &space->recent[writable];

    if (UNLIKELY(recent->last != (user | PAGE_MASK)) && !remember(space, user, writable)) {
        return NULL;
    }
    return (uint8_t *)(user + recent->offset);
}

// Goes through the user range [user, user + size), page by page.
static enum status walk(struct address_space *space, uint64_t user, uint8_t *kernel, size_t size,
                        bool writable, enum direction direction)
{
    while (size > 0) {
        size_t left = PAGE_SIZE - user % PAGE_SIZE;
        size_t step = size < left ? size : left;
        uint8_t *at = locate(space, user, writable);

        if (!at) {
            return STATUS_FAULT;
        }
        if (direction != CHECK_ONLY) {
            memcpy(direction == TO_USER ? at : kernel, direction == TO_USER ? kernel : at, step);
            kernel += step;
        }
        user += step;
        size -= step;
    }
    return STATUS_OK;
}

// Checks all of the range before it copies anything.
static NOINLINE enum status copy_pages(struct address_space *space, uint64_t user, uint8_t *kernel,
                                       size_t size, bool writable, enum direction direction)
{
    if (!user_range(user, size)) {
        return STATUS_FAULT;
    }
    lock_acquire(&space->lock);
    enum status status = walk(space, user, NULL, size, writable, CHECK_ONLY);
    if (status == STATUS_OK && direction != CHECK_ONLY) {
        status = walk(space, user, kernel, size, writable, direction);
    }
    lock_release(&space->lock);
    return status;
}

// The usual case is that all lies in one page.
static ALWAYS_INLINE enum status copy(struct address_space *space, uint64_t user, uint8_t *kernel,
                                      size_t size, bool writable, enum direction direction)
{
    if (UNLIKELY(size > PAGE_SIZE - user % PAGE_SIZE || size == 0)) {
        return copy_pages(space, user, kernel, size, writable, direction);
    }
    lock_acquire(&space->lock);
    uint8_t *at = locate(space, user, writable);
    if (at && direction != CHECK_ONLY) {
        memcpy(direction == TO_USER ? at : kernel, direction == TO_USER ? kernel : at, size);
    }
    lock_release(&space->lock);
    return at ? STATUS_OK : STATUS_FAULT;
}

enum status copy_from_user(struct address_space *space, void *destination, uint64_t source,
                           size_t size)
{
    return copy(space, source, destination, size, false, FROM_USER);
}

ALWAYS_INLINE enum status copy_from_writable(struct address_space *space, void *destination,
                                             uint64_t source, size_t size, size_t room)
{
    // What lies in the page from which it copies is checked there.
    enum status status = UNLIKELY(room > PAGE_SIZE - source % PAGE_SIZE)
                             ? user_range_check(space, source, room, true)
                             : STATUS_OK;

    return status == STATUS_OK ? copy(space, source, destination, size, true, FROM_USER) : status;
}

// With TO_USER the kernel's side is only read.
ALWAYS_INLINE enum status copy_to_user(struct address_space *space, uint64_t destination,
                                       const void *source, size_t size)
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
