// SPDX-License-Identifier: MIT
// See suite.h.
#include "guests/library/suite.h"

#define COM1 0x3f8

static const char *command_line = "";
static uint32_t passed, failed, skipped;

// 115200 baud, 8N1: nobody may have set the port up.
static void set_up_port(void)
{
    port_out8(COM1 + 3, 0x80);
    port_out8(COM1, 1);
    port_out8(COM1 + 1, 0);
    port_out8(COM1 + 3, 3);
}

void suite_begin(uint32_t magic, uintptr_t information)
{
    const struct multiboot_info *multiboot = (const void *)information;

    if (magic == MULTIBOOT_BOOTLOADER_MAGIC && (multiboot->flags & 4) != 0) {
        command_line = (const char *)(uintptr_t)multiboot->command_line;
    }
    set_up_port();
}

static bool begins_with_word(const char *at, const char *word)
{
    while (*word != '\0') {
        if (*at++ != *word++) {
            return false;
        }
    }
    return *at == '\0' || *at == ' ';
}

bool suite_has_word(const char *word)
{
    for (const char *at = command_line; *at != '\0'; at++) {
        if ((at == command_line || at[-1] == ' ') && begins_with_word(at, word)) {
            return true;
        }
    }
    return false;
}

bool suite_is_native(void)
{
    return suite_has_word("native");
}

bool suite_wants(const char *subject)
{
    bool named = false;

    for (const char *at = command_line; *at != '\0'; at++) {
        const char *only = "only=";
        const char *from = at;

        while (*only != '\0' && *from == *only) {
            from++;
            only++;
        }
        if (*only == '\0') {
            named = true;
            if (begins_with_word(from, subject)) {
                return true;
            }
        }
    }
    return !named;
}

void check(const char *name, uint64_t got, uint64_t want)
{
    if (got == want) {
        passed++;
        print_text("PASS ");
        print_text(name);
    } else {
        failed++;
        print_text("FAIL ");
        print_text(name);
        print_text(": got ");
        print_hexadecimal(got);
        print_text(", want ");
        print_hexadecimal(want);
    }
    print_text("\n");
}

void skip(const char *name, const char *why)
{
    skipped++;
    print_text("SKIP ");
    print_text(name);
    print_text(": ");
    print_text(why);
    print_text("\n");
}

void suite_end(void)
{
    print_decimal(passed);
    print_text(" passed, ");
    print_decimal(failed);
    print_text(" failed, ");
    print_decimal(skipped);
    print_text(" skipped\n");
    while ((port_in8(COM1 + 5) & 0x40) == 0) { // until the last byte has left
    }
    if (suite_is_native()) {
        power_off();
    }
    test_exit(failed != 0);
}
