// SPDX-License-Identifier: MIT
// Hello from a 64-bit ELF kernel: says where its command line is from boot_params, then powers off.
#include "guests/library/guest.h"

#define BOOT_PARAMS_MAGIC     0x202 // "HdrS"
#define BOOT_PARAMS_CMDLINE   0x228
#define BOOT_HEADER_SIGNATURE 0x53726448u

static uint32_t field32(uintptr_t base, uintptr_t offset)
{
    uint32_t value;

    __builtin_memcpy(&value, (const void *)(base + offset), sizeof(value));
    return value;
}

void guest_main(uint32_t magic, uintptr_t boot_params)
{
    (void)magic;
    if (field32(boot_params, BOOT_PARAMS_MAGIC) != BOOT_HEADER_SIGNATURE) {
        print_result(false, "RSI does not point to boot_params");
        test_exit(1);
    }
    print_text("Hello from a 64-bit ELF guest\ncommand line: \"");
    print_text((const char *)(uintptr_t)field32(boot_params, BOOT_PARAMS_CMDLINE));
    print_text("\"\n");
    power_off();
}
