// SPDX-License-Identifier: MIT
// The address space of a process: its page tables, and the regions that its program was given.
// A region is one SYS_MEMORY_ALLOCATE, one mapped module, one program segment or stack, or one page
// that the kernel shares with the process. All functions take the address space's lock themselves.
// Frames and page tables are charged to the address space's container.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "arch/x86/paging/layout.h"
#include "arch/x86/paging/page_table.h"
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"
#include "kernel/lock/lock.h"
#include "kernel/memory/region_list.h"
#include "kernel/memory/shootdown.h"

#define USER_DYNAMIC_BASE 0x0000100000000000ull // regions whose address the kernel chooses
#define USER_DYNAMIC_END  0x0000700000000000ull

enum user_permission { // what ring 3 may do; always readable
    USER_READ = 0,
    USER_WRITE = 1u << 0,
    USER_EXECUTE = 1u << 1,
};

// A user page that was translated.
struct recent_page {
    uint64_t last;   // its last address; 0: none
    uint64_t offset; // from user addresses in it to where the kernel sees them
};

struct address_space {
    struct lock lock;
    uint32_t container; // constant
    // Guarded by lock; the root of the table (CR3 of the process's threads) is constant.
    struct page_table table;
    struct region_list *regions;  // one page, charged
    struct recent_page recent[2]; // the last one that was read, and the last one that was written

    struct cpu_set cpus; // those that run on this table
};

/*@
  // An address space and its list of regions; no other CPU looks at it meanwhile, or this one holds
  // its lock.
  predicate space_valid{L}(struct address_space *space) =
    \valid(space) && regions_valid(space->regions) && \separated(space, space->regions);
  predicate space_usable{L}(struct address_space *space) =
    space_valid(space) && lock_free(&space->lock);
  predicate space_held{L}(struct address_space *space) =
    space_valid(space) && lock_held(&space->lock);

  // From A to B the regions stay what they are.
  predicate space_same_regions{A, B}(struct address_space *space) =
    \at(space->regions, B) == \at(space->regions, A) &&
    \at(space->regions->count, B) == \at(space->regions->count, A) &&
    regions_same{A, B}(\at(space->regions, A), 0, REGION_MAXIMUM);

  predicate rounded_up(integer size, integer bytes) =
    bytes <= size && aligned_to(size, PAGE_SIZE) &&
    \forall integer i; bytes <= i && aligned_to(i, PAGE_SIZE) ==> size <= i;

  // Region i of an address space holds an address, or all of a range; it may be pinned.
  predicate space_holds{L}(struct address_space *space, integer i, integer address) =
    0 <= i < space->regions->count && region_holds(&space->regions->entries[i], address);
  predicate space_covers{L}(struct address_space *space, integer i, integer address,
                            integer bytes) =
    space_holds(space, i, address) && address + bytes <=
      space->regions->entries[i].start + space->regions->entries[i].bytes;
  // Region i begins there, and is so many bytes, rounded up to pages.
  predicate space_is{L}(struct address_space *space, integer i, integer address, integer bytes) =
    0 <= i < space->regions->count && space->regions->entries[i].start == address &&
    rounded_up(space->regions->entries[i].bytes, bytes);
  predicate space_pinnable{L}(struct address_space *space, integer i, boolean writable) =
    space->regions->entries[i].kind != REGION_PROGRAM &&
    (writable ==> space->regions->entries[i].kind != REGION_BORROWED &&
       (space->regions->entries[i].permission & USER_WRITE) != 0);
*/

// A user address, translated.
struct user_mapping {
    hpa_t address;      // of the byte asked for
    uint64_t page_size; // of the mapping: 4096, 2 MiB or 1 GiB
    bool writable;
    bool executable;
};

// Makes an empty address space that shares the kernel's half. STATUS_QUOTA, STATUS_NO_MEMORY.
MUST_CHECK enum status address_space_init(struct address_space *space, uint32_t container);

// Frees every frame it owns, the page tables and the region list. The space must not be loaded on
// any CPU, and nothing may be pinned.
void address_space_destroy(struct address_space *space);

// Maps `bytes` of zeroed memory, rounded up to pages, at an address the kernel chooses: 2 MiB
// pages, so aligned, from 2 MiB up (the rest in 4 KiB pages). STATUS_INVALID: 0 or beyond user
// space; STATUS_QUOTA; STATUS_NO_MEMORY. Nothing is left behind on failure.
MUST_CHECK enum status address_space_allocate(struct address_space *space, uint64_t bytes,
                                              uint32_t permission, uint64_t *address);

// Maps zeroed memory at a fixed address (program segments). STATUS_INVALID: not page aligned or
// outside user space; STATUS_BUSY: overlaps a region.
MUST_CHECK enum status address_space_allocate_at(struct address_space *space, uint64_t address,
                                                 uint64_t bytes, uint32_t permission);

// Maps physical memory [frames, frames + bytes) that somebody else owns, at an address the kernel
// chooses.
MUST_CHECK enum status address_space_map_borrowed(struct address_space *space, hpa_t frames,
                                                  uint64_t bytes, uint32_t permission,
                                                  uint64_t *address);

// Undoes address_space_allocate (`kind` REGION_MEMORY) or address_space_map_borrowed
// (REGION_BORROWED). STATUS_NOT_FOUND: no region has just this start and size; STATUS_DENIED: of
// another kind; STATUS_BUSY: pinned by a grant.
/*@
  requires space_usable(space);
  terminates \true;
  assigns space->lock.last, space->lock.turn, space->recent[0 .. 1], space->regions->count,
    space->regions->entries[0 .. REGION_MAXIMUM - 1];
  ensures usable: space_usable(space);
  // The region has gone then, else all stay what they are.
  ensures there: \result == STATUS_OK ==> \exists integer i;
    0 <= i < \old(space->regions->count) && \old(space->regions->entries[i].start) == address;
  ensures gone: \result == STATUS_OK ==> \forall integer i;
    0 <= i < \old(space->regions->count) && \old(space->regions->entries[i].start) == address ==>
      region_went{Pre, Post}(space->regions, i);
  ensures kept: \result != STATUS_OK ==> space_same_regions{Pre, Post}(space);
  behavior sane:
    assumes bytes + PAGE_SIZE <= UINT64_MAX;
    ensures none: (\forall integer i; !space_is{Pre}(space, i, address, bytes)) ==>
      \result == STATUS_NOT_FOUND;
    ensures denied: \forall integer i; space_is{Pre}(space, i, address, bytes) ==>
      (\result == STATUS_DENIED <==> \old(space->regions->entries[i].kind) != kind);
    ensures busy: \forall integer i; space_is{Pre}(space, i, address, bytes) ==>
      (\result == STATUS_BUSY <==> \old(space->regions->entries[i].kind) == kind &&
         \old(space->regions->entries[i].pins) != 0);
    ensures freed: \forall integer i; space_is{Pre}(space, i, address, bytes) ==>
      (\result == STATUS_OK <==> \old(space->regions->entries[i].kind) == kind &&
         \old(space->regions->entries[i].pins) == 0);
*/
MUST_CHECK enum status address_space_free(struct address_space *space, uint64_t address,
                                          uint64_t bytes, enum region_kind kind);

// Pins the region that holds all of [address, address + bytes) so that a guest may use its frames:
// while pinned, the mapping neither changes nor ends. Only REGION_MEMORY can be pinned, and
// REGION_BORROWED when `writable` is false. STATUS_FAULT: not inside one region; STATUS_DENIED: the
// region does not allow it; STATUS_NO_MEMORY: it has as many pins as can be counted.
/*@
  requires space_usable(space);
  terminates \true;
  assigns space->lock.last, space->lock.turn,
    space->regions->entries[0 .. REGION_MAXIMUM - 1].pins;
  ensures usable: space_usable(space);
  // Refused exactly for this.
  ensures none: (\forall integer i; !space_holds(space, i, address)) ==> \result == STATUS_FAULT;
  ensures fault: \forall integer i; space_holds(space, i, address) ==>
    (\result == STATUS_FAULT <==> !space_covers(space, i, address, bytes));
  ensures denied: \forall integer i; space_holds(space, i, address) ==>
    (\result == STATUS_DENIED <==> space_covers(space, i, address, bytes) &&
       !space_pinnable(space, i, writable != 0));
  ensures full: \forall integer i; space_holds(space, i, address) ==>
    (\result == STATUS_NO_MEMORY <==> space_covers(space, i, address, bytes) &&
       space_pinnable(space, i, writable != 0) &&
       \old(space->regions->entries[i].pins) == UINT32_MAX);
  ensures \result == STATUS_OK || \result == STATUS_FAULT || \result == STATUS_DENIED ||
    \result == STATUS_NO_MEMORY;
  // The region has one pin more then, and no other changes.
  ensures one: \result == STATUS_OK ==> \forall integer i; space_holds(space, i, address) ==>
    space->regions->entries[i].pins == \old(space->regions->entries[i].pins) + 1;
  ensures others: \forall integer i; 0 <= i < space->regions->count &&
    (\result != STATUS_OK || !space_holds(space, i, address)) ==>
      space->regions->entries[i].pins == \old(space->regions->entries[i].pins);
*/
MUST_CHECK enum status address_space_pin(struct address_space *space, uint64_t address,
                                         uint64_t bytes, bool writable);

// Takes back one pin of the region that holds `address`.
/*@
  requires space_usable(space);
  requires \exists integer i; space_holds(space, i, address);
  requires \forall integer i; space_holds(space, i, address) ==>
    space->regions->entries[i].pins > 0;
  terminates \true;
  assigns space->lock.last, space->lock.turn,
    space->regions->entries[0 .. REGION_MAXIMUM - 1].pins;
  ensures usable: space_usable(space);
  ensures one: \forall integer i; space_holds(space, i, address) ==>
    space->regions->entries[i].pins == \old(space->regions->entries[i].pins) - 1;
  ensures others: \forall integer i;
    0 <= i < space->regions->count && !space_holds(space, i, address) ==>
      space->regions->entries[i].pins == \old(space->regions->entries[i].pins);
*/
void address_space_unpin(struct address_space *space, uint64_t address);

// Translates one user address. STATUS_FAULT: not mapped for ring 3.
MUST_CHECK enum status address_space_translate(struct address_space *space, uint64_t address,
                                               struct user_mapping *mapping);

// The same for a caller that holds space->lock already.
MUST_CHECK enum status address_space_translate_locked(struct address_space *space, uint64_t address,
                                                      struct user_mapping *mapping);

// Copies into mapped pages whatever their permission: for loading programs. STATUS_FAULT.
MUST_CHECK enum status address_space_write(struct address_space *space, uint64_t address,
                                           const void *source, uint64_t size);
