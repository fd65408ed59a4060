// SPDX-License-Identifier: MIT
// VMREAD and VMWRITE by encoding, for fields.h, which gives them types. Host tests of code that
// uses them have an access.h of their own.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

// Reads any field by its encoding. False: the processor lacks it, or no VMCS is current; *value
// is then 0. Never faults in VMX operation.
MUST_CHECK static inline bool vmcs_try_read(uint64_t encoding, uint64_t *value)
{
    bool failed;
    uint64_t result = 0;

    __asm__ volatile("vmread %2, %1" : "=@ccbe"(failed), "+r"(result) : "r"(encoding));
    *value = failed ? 0 : result;
    return !failed;
}

// Writes any field by its encoding. False: the processor lacks it, or it is read-only.
MUST_CHECK static inline bool vmcs_try_write(uint64_t encoding, uint64_t value)
{
    bool failed;

    __asm__ volatile("vmwrite %1, %2" : "=@ccbe"(failed) : "r"(value), "r"(encoding) : "memory");
    return !failed;
}

// The typed accessors are for fields that are known to exist: they cannot fail.
static inline uint64_t vmcs_read_raw(uint64_t encoding)
{
    uint64_t value;

    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(encoding) : "cc");
    return value;
}

static inline void vmcs_write_raw(uint64_t encoding, uint64_t value)
{
    __asm__ volatile("vmwrite %0, %1" : : "r"(value), "r"(encoding) : "cc", "memory");
}
