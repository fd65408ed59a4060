// SPDX-License-Identifier: MIT
// What entry.asm calls.
#pragma once

#include <stdint.h>
#include "kernel/lib/compiler.h"

// `magic`: what the loader left in EAX; `address`: physical address of its information. Runs on the
// boot stack with the temporary page tables.
NORETURN void arch_main(uint32_t magic, uint64_t address);
