// SPDX-License-Identifier: MIT
// A dump of a vCPU for the entry checker: every field of the VMCS that the processor has, and, as
// pseudo-fields, what the processor allows. Fields are chosen by the capability words, so that
// none is asked for that cannot be there. Called by the monitor's report and by tests.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/abi/vm_support.h"
#include "kernel/abi/vmcs_fields.h"

struct vcpu_field {
    uint32_t encoding; // VMCS field encoding, or one of the two below
    uint32_t reserved;
    uint64_t value;
};
#define VCPU_FIELD_MAXIMUM 256u

// A capability word, by the number of its MSR.
#define VCPU_FIELD_CAPABILITY(msr) (0x80000000u | (msr))
// The width of physical addresses (MAXPHYADDR) in bits.
#define VCPU_FIELD_PHYSICAL_BITS 0xc0000000u

// Reads a field; false: the processor has none of that encoding.
typedef bool field_reader(void *context, uint32_t encoding, uint64_t *value);

// Returns how many fields were written, at most `capacity`.
size_t field_dump(const struct vmx_capabilities *capabilities, uint32_t physical_bits,
                  field_reader *read, void *context, struct vcpu_field *fields, size_t capacity);
