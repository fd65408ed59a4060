// SPDX-License-Identifier: MIT
// The kernel log: lines of text in a ring. Until the console process first reads the ring, each
// line is also written, polled, to the log port (COM2, or COM1 without it). When the ring is full
// the oldest text goes, and the reader is told how much. Guarded by its own lock, the last in the
// order.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

enum log_level {
    LOG_ERROR,
    LOG_WARNING,
    LOG_INFO,
    LOG_MACHINE, // a line for scripts, without the level's prefix: "@ready", "@status 0"
};

// Says which serial port the log goes to, and writes there what has come so far.
void log_set_port(unsigned port);

// Adds one line (no line feed in `format`; at most 255 bytes, the rest is cut).
void log_line(enum log_level level, const char *format, ...) PRINTF(2, 3);

// Takes up to `size` bytes of the oldest text that was not taken yet; returns how many. The first
// call ends the kernel's own writing to the port.
size_t log_read(char *buffer, size_t size);

// New text, and what is there already, sets event bit `bit` of the running thread from now on.
// STATUS_BUSY: another thread was bound first. The first process lives as long as the machine, and
// so does the binding: a thread of it that ended is signalled in vain.
MUST_CHECK enum status log_bind(uint32_t bit);

// Writes text straight to the log port, polled, whatever the console process does: for the end.
void log_raw(const char *text);

// Writes what nobody has read yet to the port, for the end of the run.
void log_flush_unread(void);
