// SPDX-License-Identifier: MIT
// User contexts (user_context.h). Host-tested.
#include "kernel/thread/user_context.h"

static bool is_pointer(uint32_t index)
{
    return index == UCTX_RIP || index == UCTX_RSP;
}

static void put(struct user_context *context, uint32_t index, uint64_t value)
{
    context->registers[index] = value;
    context->set |= 1u << index;
}

enum status uctx_get(const struct user_context *context, uint32_t index, uint64_t *value)
{
    if (index >= UCTX_COUNT) {
        return STATUS_INVALID;
    }
    if (!(context->set >> index & 1)) {
        return STATUS_STATE;
    }
    *value = context->registers[index];
    return STATUS_OK;
}

enum status uctx_set(struct user_context *context, uint32_t index, uint64_t value)
{
    if (index >= UCTX_COUNT) {
        return STATUS_INVALID;
    }
    if (is_pointer(index)) {
        return STATUS_DENIED;
    }
    put(context, index, value);
    return STATUS_OK;
}

enum status uctx_set_pointer(struct user_context *context, uint32_t index, uint64_t address)
{
    if (!is_pointer(index) || !user_range(address, 1)) {
        return STATUS_INVALID;
    }
    put(context, index, address);
    return STATUS_OK;
}
