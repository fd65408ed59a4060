// SPDX-License-Identifier: MIT
// Checked copies between the kernel and a process. Every page is looked up in the process's own
// tables and copied through the direct map, so a bad address is STATUS_FAULT and never a fault in
// ring 0, and SMAP stays on. They take the address space's lock themselves.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"
#include "kernel/memory/address_space.h"

// STATUS_FAULT when any byte of the range is not user memory with that permission; then nothing
// has been copied. `size` 0 is STATUS_OK anywhere in the user's half, mapped or not.
MUST_CHECK enum status copy_from_user(struct address_space *space, void *destination,
                                      uint64_t source, size_t size);
// The same if also `room` bytes at `source`, at least `size`, are writable.
MUST_CHECK enum status copy_from_writable(struct address_space *space, void *destination,
                                          uint64_t source, size_t size, size_t room);
MUST_CHECK enum status copy_to_user(struct address_space *space, uint64_t destination,
                                    const void *source, size_t size);

// Only the check.
/*@
  requires \valid(space) && lock_free(&space->lock);
  terminates \true;
  assigns space->lock.last, space->lock.turn;
  ensures lock_free(&space->lock);
  ensures \result == STATUS_OK || \result == STATUS_FAULT;
*/
MUST_CHECK enum status user_range_check(struct address_space *space, uint64_t start, size_t size,
                                        bool writable);
