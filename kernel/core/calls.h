// SPDX-License-Identifier: MIT
// What the files that define system calls share: arguments, results, and short names.
#pragma once

#include <stdint.h>
#include "kernel/core/system_calls.h"
#include "kernel/lib/status.h"
#include "kernel/memory/user_copy.h"
#include "kernel/process/process.h"

// Defines the handler `name` with five arguments, of which the body uses what it needs.
#define SYSTEM_CALL(name)                                                                          \
    int64_t name(__attribute__((unused)) uint64_t a, __attribute__((unused)) uint64_t b,           \
                 __attribute__((unused)) uint64_t c, __attribute__((unused)) uint64_t d,           \
                 __attribute__((unused)) uint64_t e)

#define EVENT_BIT_LIMIT 63u // bits 0 to 62 are for programs

static inline int64_t call_error(enum status status)
{
    return -(int64_t)status;
}

static inline struct address_space *caller_space(void)
{
    return &current_process()->space;
}
