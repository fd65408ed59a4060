// SPDX-License-Identifier: MIT
// Checks of the kernel's own invariants. Never for guest or user input.
#pragma once

#include "kernel/core/panic.h"
#include "kernel/lib/compiler.h"

#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (UNLIKELY(!(condition))) {                                                              \
            panic("%s:%d: %s does not hold", __FILE__, __LINE__, #condition);                      \
        }                                                                                          \
    } while (0)
