// SPDX-License-Identifier: MIT
// Counts for ever without giving the processor away, one line after each fixed piece of work: what
// a fair scheduler is measured with. "lines=N" on the command line powers off after N lines.
#include "guests/library/guest.h"

#define STEPS_PER_LINE (1u << 20)

static uint32_t work(uint32_t checksum)
{
    for (uint32_t i = 0; i < STEPS_PER_LINE; i++) {
        checksum = (checksum << 5 | checksum >> 27) ^ (checksum + i);
        __asm__ volatile("" : "+r"(checksum));
    }
    return checksum;
}

void guest_main(uint32_t magic, uintptr_t address)
{
    const struct multiboot_info *information = (const void *)address;
    uint32_t checksum = 1;
    uint32_t lines = 0;

    if (magic == MULTIBOOT_BOOTLOADER_MAGIC) {
        find_option((const char *)(uintptr_t)information->command_line, "lines", &lines);
    }
    for (uint32_t line = 1;; line++) {
        checksum = work(checksum);
        print_text("counter ");
        print_decimal(line);
        print_text(" checksum ");
        print_hexadecimal(checksum);
        print_text("\n");
        if (line == lines) {
            power_off();
        }
    }
}
