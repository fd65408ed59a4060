// SPDX-License-Identifier: MIT
// The registers with which a thread starts in ring 3. The two that are pointers are set only by the
// call that checks them. Its creator writes them before the thread runs, and the thread reads them
// once on its way out; from then on they live on its kernel stack, where nobody else looks. Pure;
// host-tested.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "arch/x86/paging/layout.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

enum uctx_register { UCTX_RIP, UCTX_RSP, UCTX_RDI, UCTX_COUNT };

struct user_context {
    uint64_t registers[UCTX_COUNT];
    uint32_t set; // bit n: register n
};

// STATUS_INVALID: no such register; STATUS_STATE: it was never set.
/*@
  requires \valid_read(context) && \valid(value) && \separated(context, value);
  terminates \true;
  assigns *value;
  behavior none:
    assumes index >= UCTX_COUNT;
    assigns \nothing;
    ensures \result == STATUS_INVALID;
  behavior unset:
    assumes index < UCTX_COUNT && ((context->set >> index) & 1) == 0;
    assigns \nothing;
    ensures \result == STATUS_STATE;
  behavior set:
    assumes index < UCTX_COUNT && ((context->set >> index) & 1) != 0;
    ensures \result == STATUS_OK && *value == context->registers[index];
  complete behaviors;
  disjoint behaviors;
*/
MUST_CHECK enum status uctx_get(const struct user_context *context, uint32_t index,
                                uint64_t *value);

// STATUS_INVALID: no such register; STATUS_DENIED: it is a pointer.
/*@
  requires \valid(context);
  terminates \true;
  assigns context->registers[UCTX_RDI], context->set;
  behavior none:
    assumes index >= UCTX_COUNT;
    assigns \nothing;
    ensures \result == STATUS_INVALID;
  behavior pointer:
    assumes index == UCTX_RIP || index == UCTX_RSP;
    assigns \nothing;
    ensures \result == STATUS_DENIED;
  behavior set:
    assumes index == UCTX_RDI;
    ensures \result == STATUS_OK && context->registers[UCTX_RDI] == value;
    ensures context->set == (\old(context->set) | 4);
  complete behaviors;
  disjoint behaviors;
*/
MUST_CHECK enum status uctx_set(struct user_context *context, uint32_t index, uint64_t value);

// STATUS_INVALID: no such register, not a pointer, or not an address of the user's.
/*@
  requires \valid(context);
  terminates \true;
  assigns context->registers[index], context->set;
  behavior refused:
    assumes (index != UCTX_RIP && index != UCTX_RSP) || address >= USER_LIMIT;
    assigns \nothing;
    ensures \result == STATUS_INVALID;
  behavior entry:
    assumes index == UCTX_RIP && address < USER_LIMIT;
    ensures \result == STATUS_OK && context->registers[UCTX_RIP] == address;
    ensures context->set == (\old(context->set) | 1);
  behavior stack:
    assumes index == UCTX_RSP && address < USER_LIMIT;
    ensures \result == STATUS_OK && context->registers[UCTX_RSP] == address;
    ensures context->set == (\old(context->set) | 2);
  complete behaviors;
  disjoint behaviors;
*/
MUST_CHECK enum status uctx_set_pointer(struct user_context *context, uint32_t index,
                                        uint64_t address);

// True when every register is set: ring 3 may be entered with them.
static inline bool uctx_complete(const struct user_context *context)
{
    return context->set == (1u << UCTX_COUNT) - 1;
}
