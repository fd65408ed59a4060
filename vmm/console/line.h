// SPDX-License-Identifier: MIT
// Makes lines out of pieces of text: the kernel log arrives in arbitrary pieces, the host log holds
// whole lines only. Bytes that are no printable ASCII become '?', so that a log line can neither
// forge another nor upset a terminal. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINE_MAXIMUM 480u // bytes of one line; a longer one continues in the next

struct line {
    char text[LINE_MAXIMUM + 1]; // NUL-terminated once line_take returned true
    size_t length;
    bool complete;
};

// Takes one byte. True: `text` holds a whole line; the next call starts a new one.
bool line_take(struct line *line, uint8_t byte);

// Replaces unprintable bytes of `text` in place.
void line_clean(char *text, size_t length);
