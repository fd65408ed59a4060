// SPDX-License-Identifier: MIT
// Questions about the boot information; see boot_information.h. Pure.
#include "arch/x86/boot/boot_information.h"
#include "kernel/lib/string.h"

#define DIGITS_MAXIMUM 9

// The length of the word that `text` starts with.
static size_t word_length(const char *text)
{
    size_t length = 0;
    while (text[length] != '\0' && text[length] != ' ') {
        length++;
    }
    return length;
}

// The first word that starts with `start` and, if `whole`, is no longer; null when there is none.
static const char *find_word(const char *text, const char *start, bool whole)
{
    size_t wanted = strlen(start);
    while (*text != '\0') {
        size_t length = word_length(text);
        if (length >= wanted && (length == wanted || !whole) && memcmp(text, start, wanted) == 0) {
            return wanted != 0 ? text : NULL;
        }
        text += length + (text[length] == ' ');
    }
    return NULL;
}

bool boot_command_line_has(const struct boot_information *information, const char *word)
{
    return find_word(information->command_line, word, true) != NULL;
}

uint32_t boot_command_line_number(const struct boot_information *information, const char *name,
                                  uint32_t otherwise)
{
    const char *digits = find_word(information->command_line, name, false);
    uint32_t number = 0;
    if (digits == NULL) {
        return otherwise;
    }
    digits += strlen(name);
    size_t length = word_length(digits);
    for (size_t i = 0; i < length; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return otherwise;
        }
        number = number * 10 + (uint32_t)(digits[i] - '0');
    }
    return length != 0 && length <= DIGITS_MAXIMUM ? number : otherwise;
}
