// SPDX-License-Identifier: MIT
// Hello from a 32-bit multiboot1 kernel: says what the loader handed over, then powers off.
#include "guests/library/guest.h"

static void print_modules(const struct multiboot_info *information)
{
    const struct multiboot_module *modules = (const void *)(uintptr_t)information->modules;

    for (uint32_t i = 0; i < information->module_count; i++) {
        print_text("module: ");
        print_decimal(modules[i].end - modules[i].start);
        print_text(" bytes, \"");
        print_text((const char *)(uintptr_t)modules[i].text);
        print_text("\"\n");
    }
}

void guest_main(uint32_t magic, uintptr_t address)
{
    const struct multiboot_info *information = (const void *)address;

    if (magic != MULTIBOOT_BOOTLOADER_MAGIC) {
        print_result(false, "EAX is not 0x2badb002");
        test_exit(1);
    }
    print_text("Hello from a multiboot guest\n");
    print_text("loader: ");
    print_text((const char *)(uintptr_t)information->loader_name);
    print_text("\nmemory: ");
    print_decimal(information->memory_upper);
    print_text(" KiB above 1 MiB\ncommand line: \"");
    print_text((const char *)(uintptr_t)information->command_line);
    print_text("\"\n");
    print_modules(information);
    power_off();
}
