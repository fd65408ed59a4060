// SPDX-License-Identifier: MIT
// The guest's own page tables: linear to guest-physical, as the guest's processor would do it.
//
// Used by the monitor for emulated memory accesses. No state, no locks; accessed and dirty bits are
// set in guest RAM with atomic updates, because other vCPUs walk the same tables.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/abi/vcpu.h"
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"
#include "vmm/emulate/emulate.h"

struct guest_memory;

// The registers that decide a translation.
struct guest_paging {
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    uint64_t rflags; // AC, for SMAP
    bool user;       // CPL is 3
};

// The entries a walk used. While each still reads as it did, and the registers are the same, the
// walk would end as it did.
#define GUEST_WALK_ENTRIES 4u
#define GUEST_WALK_UNKNOWN UINT32_MAX
struct guest_walk_trace {
    uint32_t count; // of entries; GUEST_WALK_UNKNOWN: not recorded (tables of 32-bit entries)
    const uint64_t *entry[GUEST_WALK_ENTRIES]; // in guest memory
    uint64_t value[GUEST_WALK_ENTRIES];        // as the walk left them
};

// Takes them from `page`, which needs VCPU_GROUP_RIP, _CONTROL and _SEGMENTS.
struct guest_paging guest_paging_of(const struct vcpu_page *page);

// Translates `address` for `access` (enum emulate_access, or'ed). On STATUS_OK *result is the
// guest-physical address and accessed/dirty bits are set. STATUS_FAULT: *fault is the page fault,
// error code and all. STATUS_UNSUPPORTED: 5-level paging. Paging off: linear is physical. A paging
// structure outside RAM reads as zeros, which is not present.
// Source: the manual's chapter "Paging".
enum status guest_walk(struct guest_memory *memory, const struct guest_paging *paging,
                       gva_t address, uint32_t access, gpa_t *result,
                       struct emulate_fault *fault) MUST_CHECK;

// The same, and on STATUS_OK *trace tells which entries the translation rests on.
enum status guest_walk_traced(struct guest_memory *memory, const struct guest_paging *paging,
                              gva_t address, uint32_t access, gpa_t *result,
                              struct emulate_fault *fault,
                              struct guest_walk_trace *trace) MUST_CHECK;

// A walk as a person wants to see it: every entry on the way, from the top, whatever stands in it.
enum guest_walk_end {
    WALK_MAPPED,      // `result` is the guest-physical address
    WALK_NOT_PRESENT, // the last entry is not present
    WALK_RESERVED,    // the last entry has reserved bits set
    WALK_OUTSIDE,     // the last entry lies outside RAM
    WALK_NO_PAGING,   // paging is off: `result` is the address itself
    WALK_UNSUPPORTED, // 5-level paging
};
struct guest_walk_view {
    enum guest_walk_end end;
    uint32_t count; // of entries
    uint32_t level[GUEST_WALK_ENTRIES];
    uint64_t place[GUEST_WALK_ENTRIES]; // guest-physical addresses of the entries
    uint64_t entry[GUEST_WALK_ENTRIES];
    uint32_t page_shift; // WALK_MAPPED: the page's size
    gpa_t result;
};

// Looks, and changes nothing: neither accessed nor dirty bits are set, and no right is checked.
void guest_walk_show(struct guest_memory *memory, const struct guest_paging *paging, gva_t address,
                     struct guest_walk_view *view);

// True while the traced entries are unchanged. Never for GUEST_WALK_UNKNOWN.
static inline bool guest_walk_holds(const struct guest_walk_trace *trace)
{
    if (trace->count > GUEST_WALK_ENTRIES)
        return false;
    for (uint32_t i = 0; i < trace->count; i++) {
        if (__atomic_load_n(trace->entry[i], __ATOMIC_RELAXED) != trace->value[i])
            return false;
    }
    return true;
}
