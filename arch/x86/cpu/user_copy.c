// SPDX-License-Identifier: MIT
// Range checks in front of the copy in user_copy.asm; see user_copy.h.
#include "arch/x86/cpu/user_copy.h"
#include "arch/x86/paging/layout.h"

uint64_t user_copy(void *destination, const void *source, uint64_t size); // user_copy.asm

static enum status copy(void *destination, const void *source, uint64_t user, size_t size)
{
    if (!user_range(user, size) || user_copy(destination, source, size) != 0) {
        return STATUS_FAULT;
    }
    return STATUS_OK;
}

enum status user_copy_in(void *destination, uint64_t source, size_t size)
{
    return copy(destination, (const void *)source, source, size);
}

enum status user_copy_out(uint64_t destination, const void *source, size_t size)
{
    return copy((void *)destination, source, destination, size);
}
