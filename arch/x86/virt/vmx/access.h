// SPDX-License-Identifier: MIT
// VMREAD and VMWRITE by encoding, for fields.h, which gives them types. Host tests of code that
// uses them have an access.h of their own.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

// For proofs: the current VMCS, by encoding, and what a field of this width keeps of a value
// ("Field Encoding in VMCS").
/*@
  ghost uint64_t vmcs_fields[0x8000];
*/
/*@
  predicate vmcs_is_16(integer field) = 0 <= field < 0x2000;
  predicate vmcs_is_64(integer field) = 0x2000 <= field < 0x4000;
  predicate vmcs_is_32(integer field) = 0x4000 <= field < 0x6000;
  predicate vmcs_is_natural(integer field) = 0x6000 <= field < 0x8000;
  logic integer vmcs_kept(integer field, integer value) =
    field < 0x2000 ? (uint16_t)value
    : field >= 0x4000 && field < 0x6000 ? (uint32_t)value : value;
*/

// The VMCS that is current, by its physical address; which fields this processor has and lets be
// written; and at which addresses it takes a VMCS.
/*@
  ghost uint64_t vmcs_current;
*/
/*@
  axiomatic vmcs_support {
    predicate vmcs_writable(integer field) reads \nothing;
    predicate vmcs_taken(integer physical) reads \nothing;
  }
*/

// What the processor was last entered with; the other tells that it was entered again.
/*@
  ghost uint64_t vmcs_entered[0x8000];
*/
/*@
  ghost uint64_t vmcs_entries;
*/

// Reads any field by its encoding. False: the processor lacks it, or no VMCS is current; *value
// is then 0. Never faults in VMX operation.
/*@
  requires encoding < 0x8000 && \valid(value);
  terminates \true;
  assigns *value;
  ensures *value == (\result ? vmcs_fields[encoding] : 0);
  ensures vmcs_kept(encoding, *value) == *value;
*/
MUST_CHECK static inline bool vmcs_try_read(uint64_t encoding, uint64_t *value)
{
    bool failed;
    uint64_t result = 0;

    __asm__ volatile("vmread %2, %1" : "=@ccbe"(failed), "+r"(result) : "r"(encoding));
    *value = failed ? 0 : result;
    return !failed;
}

// Writes any field by its encoding. False: the processor lacks it, or it is read-only.
/*@
  requires encoding < 0x8000;
  terminates \true;
  assigns vmcs_fields[encoding];
  ensures \result <==> vmcs_writable(encoding);
  ensures \result != 0 ==> vmcs_fields[encoding] == vmcs_kept(encoding, value);
  ensures \result == 0 ==> vmcs_fields[encoding] == \old(vmcs_fields[encoding]);
*/
MUST_CHECK static inline bool vmcs_try_write(uint64_t encoding, uint64_t value)
{
    bool failed;

    __asm__ volatile("vmwrite %1, %2" : "=@ccbe"(failed) : "r"(value), "r"(encoding) : "memory");
    return !failed;
}

// The typed accessors are for fields that are known to exist: they cannot fail.
/*@
  requires encoding < 0x8000;
  terminates \true;
  assigns \nothing;
  ensures \result == vmcs_fields[encoding];
  ensures vmcs_kept(encoding, \result) == \result;
*/
static inline uint64_t vmcs_read_raw(uint64_t encoding)
{
    uint64_t value;

    __asm__ volatile("vmread %1, %0" : "=r"(value) : "r"(encoding) : "cc");
    return value;
}

/*@
  requires encoding < 0x8000;
  terminates \true;
  assigns vmcs_fields[encoding];
  ensures vmcs_fields[encoding] == vmcs_kept(encoding, value);
*/
static inline void vmcs_write_raw(uint64_t encoding, uint64_t value)
{
    __asm__ volatile("vmwrite %0, %1" : : "r"(value), "r"(encoding) : "cc", "memory");
}
