// SPDX-License-Identifier: MIT
// Text formatting without allocation. In ring 0 (format.c), for logs and reports: %u %x %s, the
// lengths l and ll, and for numbers a width, which is filled with zeroes. In programs
// (vmm/runtime/format.c) also %d %c %%, the flags 0 and -, a width (also *) of anything and, for
// %s, a precision (also *).
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include "kernel/lib/compiler.h"

// Writes at most `size` bytes to `buffer`, the final NUL included (nothing when size is 0).
// Returns the length the whole text would have had, without the NUL, as snprintf does.
/*@
  requires \valid(buffer + (0 .. size - 1));
  terminates \true;
  assigns buffer[0 .. size - 1];
*/
size_t format_text(char *buffer, size_t size, const char *format, ...) PRINTF(3, 4);
size_t format_text_va(char *buffer, size_t size, const char *format, va_list arguments)
    PRINTF(3, 0);
