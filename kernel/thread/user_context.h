// SPDX-License-Identifier: MIT
// The registers with which a thread starts in ring 3. The two that are pointers are set only by the
// call that checks them. Its creator writes them before the thread runs, and the thread reads them
// once on its way out; from then on they live on its kernel stack, where nobody else looks. Pure;
// host-tested.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

enum uctx_register { UCTX_RIP, UCTX_RSP, UCTX_RDI, UCTX_COUNT };

struct user_context {
    uint64_t registers[UCTX_COUNT];
    uint32_t set; // bit n: register n
};

// STATUS_INVALID: no such register; STATUS_STATE: it was never set.
MUST_CHECK enum status uctx_get(const struct user_context *context, uint32_t index,
                                uint64_t *value);

// STATUS_INVALID: no such register; STATUS_DENIED: it is a pointer.
MUST_CHECK enum status uctx_set(struct user_context *context, uint32_t index, uint64_t value);

// STATUS_INVALID: no such register, not a pointer, or not an address of the user's.
MUST_CHECK enum status uctx_set_pointer(struct user_context *context, uint32_t index,
                                        uint64_t address);

// True when every register is set: ring 3 may be entered with them.
static inline bool uctx_complete(const struct user_context *context)
{
    return context->set == (1u << UCTX_COUNT) - 1;
}
