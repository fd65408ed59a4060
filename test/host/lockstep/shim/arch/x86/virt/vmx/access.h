// SPDX-License-Identifier: MIT
// access.h for host tests: the VMCS is an array that a test keeps.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

#define HOST_VMCS_FIELDS 0x7000u

extern uint64_t host_vmcs[HOST_VMCS_FIELDS]; // by encoding

MUST_CHECK static inline bool vmcs_try_read(uint64_t encoding, uint64_t *value)
{
    *value = encoding < HOST_VMCS_FIELDS ? host_vmcs[encoding] : 0;
    return encoding < HOST_VMCS_FIELDS;
}

MUST_CHECK static inline bool vmcs_try_write(uint64_t encoding, uint64_t value)
{
    if (encoding < HOST_VMCS_FIELDS) {
        host_vmcs[encoding] = value;
    }
    return encoding < HOST_VMCS_FIELDS;
}

static inline uint64_t vmcs_read_raw(uint64_t encoding)
{
    return host_vmcs[encoding];
}

static inline void vmcs_write_raw(uint64_t encoding, uint64_t value)
{
    host_vmcs[encoding] = value;
}
