// SPDX-License-Identifier: MIT
// Ends through the test device at port 0xf4: exit status (v << 1) | 1, with v from "value=N" on the
// command line, else 5 (so status 11).
#include "guests/library/guest.h"

void guest_main(uint32_t magic, uintptr_t address)
{
    const struct multiboot_info *information = (const void *)address;
    uint32_t value = 5;

    if (magic == MULTIBOOT_BOOTLOADER_MAGIC) {
        find_option((const char *)(uintptr_t)information->command_line, "value", &value);
    }
    print_text("writing ");
    print_decimal(value);
    print_text(" to port 0xf4\n");
    test_exit(value);
}
