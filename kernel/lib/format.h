// SPDX-License-Identifier: MIT
// Text formatting without allocation, for the kernel log and the monitor's reports.
// Supports %d %u %x %c %s %%, the lengths l and ll, the flags 0 and -, a width
// (also *) and, for %s, a precision (also *).
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include "kernel/lib/compiler.h"

// Writes at most `size` bytes to `buffer`, the final NUL included (nothing when size is 0).
// Returns the length the whole text would have had, without the NUL, as snprintf does.
size_t format_text(char *buffer, size_t size, const char *format, ...) PRINTF(3, 4);
size_t format_text_va(char *buffer, size_t size, const char *format, va_list arguments)
    PRINTF(3, 0);
