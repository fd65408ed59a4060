// SPDX-License-Identifier: MIT
// VMCS fields as one enum per width, and the accessors that take them. Passing a field of another
// width is a conversion between enums, which the build refuses. The VMCS that is current on this
// CPU is meant; interrupts are off.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "arch/x86/virt/vmx/access.h"
#include "kernel/abi/vmcs_fields.h"
#include "kernel/lib/compiler.h"

#define VMCS_ENUM_ROW(name, encoding, text, need) VMCS_##name = (encoding),
enum vmcs_field_16 { VMCS_FIELDS_16(VMCS_ENUM_ROW) };
enum vmcs_field_32 { VMCS_FIELDS_32(VMCS_ENUM_ROW) };
enum vmcs_field_64 { VMCS_FIELDS_64(VMCS_ENUM_ROW) };
enum vmcs_field_natural { VMCS_FIELDS_NATURAL(VMCS_ENUM_ROW) };
#undef VMCS_ENUM_ROW

// The type of a field is in its encoding.
#define VMCS_TYPE_MASK      0x0c00u
#define VMCS_TYPE_READ_ONLY 0x0400u

/*@
  requires vmcs_is_16(field);
  terminates \true;
  assigns \nothing;
  ensures \result == vmcs_fields[field];
*/
static inline uint16_t vmcs_read_16(enum vmcs_field_16 field)
{
    return (uint16_t)vmcs_read_raw(field);
}

/*@
  requires vmcs_is_32(field);
  terminates \true;
  assigns \nothing;
  ensures \result == vmcs_fields[field];
*/
static inline uint32_t vmcs_read_32(enum vmcs_field_32 field)
{
    return (uint32_t)vmcs_read_raw(field);
}

/*@
  requires vmcs_is_64(field);
  terminates \true;
  assigns \nothing;
  ensures \result == vmcs_fields[field];
*/
static inline uint64_t vmcs_read_64(enum vmcs_field_64 field)
{
    return vmcs_read_raw(field);
}

/*@
  requires vmcs_is_natural(field);
  terminates \true;
  assigns \nothing;
  ensures \result == vmcs_fields[field];
*/
static inline uint64_t vmcs_read_natural(enum vmcs_field_natural field)
{
    return vmcs_read_raw(field);
}

/*@
  requires vmcs_is_16(field);
  terminates \true;
  assigns vmcs_fields[field];
  ensures vmcs_fields[field] == value;
*/
static inline void vmcs_write_16(enum vmcs_field_16 field, uint16_t value)
{
    vmcs_write_raw(field, value);
}

/*@
  requires vmcs_is_32(field);
  terminates \true;
  assigns vmcs_fields[field];
  ensures vmcs_fields[field] == value;
*/
static inline void vmcs_write_32(enum vmcs_field_32 field, uint32_t value)
{
    vmcs_write_raw(field, value);
}

/*@
  requires vmcs_is_64(field);
  terminates \true;
  assigns vmcs_fields[field];
  ensures vmcs_fields[field] == value;
*/
static inline void vmcs_write_64(enum vmcs_field_64 field, uint64_t value)
{
    vmcs_write_raw(field, value);
}

/*@
  requires vmcs_is_natural(field);
  terminates \true;
  assigns vmcs_fields[field];
  ensures vmcs_fields[field] == value;
*/
static inline void vmcs_write_natural(enum vmcs_field_natural field, uint64_t value)
{
    vmcs_write_raw(field, value);
}
