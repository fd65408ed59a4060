// SPDX-License-Identifier: MIT
// Reading a log file (log.h).
#include "test/replay/log.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TITLE "gatehouse event log 1\n"

static bool refuse(const char *path, const char *why)
{
    fprintf(stderr, "%s: %s\n", path, why);
    return false;
}

// The whole file; null when it cannot be read.
static char *read_all(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t room = 0;

    *size = 0;
    while (file && !feof(file) && !ferror(file)) {
        if (*size == room) {
            room = room ? 2 * room : 1 << 20;
            text = realloc(text, room);
            if (!text) {
                abort();
            }
        }
        *size += fread(text + *size, 1, room - *size, file);
    }
    if (file && (ferror(file) | fclose(file)) != 0) {
        free(text);
        text = NULL;
    }
    return text;
}

bool log_read(const char *path, struct log *log)
{
    size_t size;
    char *text = read_all(path, &size);

    if (!text) {
        return refuse(path, strerror(errno));
    }
    size_t title = strlen(TITLE);
    const char *line = size > title && memcmp(text, TITLE, title) == 0
                           ? memchr(text + title, '\n', size - title)
                           : NULL;
    size_t head = line ? (size_t)(line + 1 - text) : 0;
    if (!line || (size - head) % sizeof(struct event_entry) != 0) {
        free(text);
        return refuse(path, "not a log of events");
    }
    log->count = (size - head) / sizeof(struct event_entry);
    memmove(text, text + head, size - head); // where it is aligned
    log->entries = (struct event_entry *)(void *)text;
    return true;
}
