// SPDX-License-Identifier: MIT
// What the files that define system calls share: arguments, results, and short names.
#pragma once

#include <stdint.h>
#include "kernel/core/system_calls.h"
#include "kernel/lib/status.h"
#include "kernel/memory/user_copy.h"
#include "kernel/process/process.h"

#define EVENT_BIT_LIMIT 63u // bits 0 to 62 are for programs

//@ terminates \true; assigns \nothing; ensures \result == -(integer)status;
static inline int64_t call_error(enum status status)
{
    return -(int64_t)status;
}

static inline struct address_space *caller_space(void)
{
    return &current_process()->space;
}

// `value`, or the error.
static inline int64_t call_result(enum status status, uint64_t value)
{
    return status == STATUS_OK ? (int64_t)value : call_error(status);
}

// Gives the caller a handle to what was just made for it; returns the number. Ends the new thing
// if there is no room for the handle. (calls_process.c)
int64_t call_new_handle(enum handle_kind kind, void *object);
