// SPDX-License-Identifier: MIT
// Copies between kernel memory and the ring-3 half of the address space in force. A page fault on
// the user side ends the copy with STATUS_FAULT instead of a kernel exception. No lock.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

// Copies `size` bytes from user address `source`. STATUS_FAULT when the range leaves the user half
// or is not mapped for ring 3; `destination` may then be partly written.
MUST_CHECK enum status user_copy_in(void *destination, uint64_t source, size_t size);

// Copies `size` bytes to user address `destination`. STATUS_FAULT as above, or when read-only; user
// memory may then be partly written.
MUST_CHECK enum status user_copy_out(uint64_t destination, const void *source, size_t size);
