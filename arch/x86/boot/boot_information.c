// SPDX-License-Identifier: MIT
// Questions about the boot information; see boot_information.h. Pure.
#include "arch/x86/boot/boot_information.h"
#include "kernel/lib/string.h"

bool boot_command_line_has(const struct boot_information *information, const char *word)
{
    size_t length = strlen(word);
    const char *text = information->command_line;
    while (*text != '\0') {
        const char *end = text;
        while (*end != '\0' && *end != ' ') {
            end++;
        }
        if ((size_t)(end - text) == length && memcmp(text, word, length) == 0) {
            return length != 0;
        }
        text = *end == ' ' ? end + 1 : end;
    }
    return false;
}
