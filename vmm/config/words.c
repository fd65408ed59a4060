// SPDX-License-Identifier: MIT
// The pieces a line of the configuration is made of. Called by the parser in config.c. Pure; no
// lock.
#include "vmm/config/words.h"

#include "kernel/lib/string.h"

bool config_text_is(struct config_text text, const char *word)
{
    return strlen(word) == text.length && memcmp(text.start, word, text.length) == 0;
}

struct config_text config_take_word(struct config_text *rest)
{
    struct config_text word = {rest->start, 0};

    while (word.length < rest->length && word.start[word.length] != ' ') {
        word.length++;
    }
    rest->start += word.length;
    rest->length -= word.length;
    if (rest->length > 0) {
        rest->start++;
        rest->length--;
    }
    return word;
}

static bool is_name_byte(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

bool config_is_name(struct config_text text)
{
    if (text.length == 0 || text.length > CONFIG_NAME_MAXIMUM) {
        return false;
    }
    for (uint32_t i = 0; i < text.length; i++) {
        if (!is_name_byte(text.start[i])) {
            return false;
        }
    }
    return true;
}

bool config_take_number(struct config_text text, uint64_t *value)
{
    uint64_t number = 0;

    if (text.length == 0) {
        return false;
    }
    for (uint32_t i = 0; i < text.length; i++) {
        uint64_t digit = (uint64_t)(uint8_t)text.start[i] - '0';

        if (digit > 9 || __builtin_mul_overflow(number, 10u, &number) ||
            __builtin_add_overflow(number, digit, &number)) {
            return false;
        }
    }
    *value = number;
    return true;
}
