// SPDX-License-Identifier: MIT
// Reading a log file (log.h).
#include "test/replay/log.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TITLE "gatehouse event log 2\n"

static bool refuse(const char *path, const char *why)
{
    fprintf(stderr, "%s: %s\n", path, why);
    return false;
}

// The whole file, which the program may change in memory; null when it cannot be read.
static char *map(const char *path, size_t *size)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    char *text = NULL;

    if (file < 0) {
        return NULL;
    }
    if (fstat(file, &status) == 0) {
        *size = (size_t)status.st_size;
        text = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    }
    int why = errno;
    (void)close(file);
    errno = why;
    return text != MAP_FAILED ? text : NULL;
}

bool log_read(const char *path, struct log *log)
{
    size_t size = 0;
    char *text = map(path, &size);

    if (!text) {
        return refuse(path, strerror(errno));
    }
    if (size % sizeof(struct event_entry) != 0 || memcmp(text, TITLE, strlen(TITLE)) != 0) {
        return refuse(path, "not a log of events");
    }
    log->count = size / sizeof(struct event_entry) - 1; // the title has the size of an entry
    log->entries = (struct event_entry *)(void *)text + 1;
    return true;
}

bool log_starts(FILE *file)
{
    char title[sizeof(struct event_entry)]; // it has the size of an entry

    return fread(title, sizeof(title), 1, file) == 1 && memcmp(title, TITLE, strlen(TITLE)) == 0;
}
