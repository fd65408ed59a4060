// SPDX-License-Identifier: MIT
// The end of the run; see machine_end.h.
#include "drivers/machine_end.h"
#include "arch/x86/cpu/registers.h"

#define QEMU_EXIT_PORT  0xf4
#define BOCHS_EXIT_PORT 0x8900

NORETURN void machine_end(uint32_t status, bool emulator)
{
    if (emulator) {
        port_write32(QEMU_EXIT_PORT, status);
        for (const char *c = "Shutdown"; *c != '\0'; c++) {
            port_write8(BOCHS_EXIT_PORT, (uint8_t)*c);
        }
    }
    halt_forever();
}
