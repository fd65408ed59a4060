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
