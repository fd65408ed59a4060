// SPDX-License-Identifier: MIT
// Ends the run: emulator exit ports where the command line says "emulator", else the machine halts.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

// With `emulator`: writes `status` to QEMU's isa-debug-exit port 0xf4 and "Shutdown" to Bochs' port
// 0x8900. Whatever survives that halts this CPU with interrupts off.
NORETURN void machine_end(uint32_t status, bool emulator);
