// SPDX-License-Identifier: MIT
// A log file of scripts/gatehouse/event_log.py in memory.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "kernel/abi/event_log.h"

struct log {
    struct event_entry *entries;
    size_t count;
};

// Reads the file, which stays in memory. On failure, says why on standard error and returns false.
bool log_read(const char *path, struct log *log);

// Reads the title of a log. False when it is none.
bool log_starts(FILE *file);
