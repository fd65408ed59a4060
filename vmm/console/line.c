// SPDX-License-Identifier: MIT
// Assembles log lines. See line.h.
#include "vmm/console/line.h"

void line_clean(char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if ((uint8_t)text[i] < 0x20 || (uint8_t)text[i] > 0x7e) {
            text[i] = text[i] == '\t' ? ' ' : '?';
        }
    }
}

bool line_take(struct line *line, uint8_t byte)
{
    if (line->complete) {
        line->complete = false;
        line->length = 0;
    }
    if (byte == '\r') {
        return false;
    }
    if (byte != '\n') {
        line->text[line->length] = (char)byte;
        line_clean(line->text + line->length, 1);
        line->length++;
    }
    line->complete = byte == '\n' || line->length == LINE_MAXIMUM;
    line->text[line->length] = '\0';
    return line->complete;
}
