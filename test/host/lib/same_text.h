// SPDX-License-Identifier: MIT
// Holds format_text against the C library's snprintf, for the tests of both formatters.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "kernel/lib/format.h"

// The text and its length are the same.
#define SAME(...)                                                                                  \
    do {                                                                                           \
        char ours[128];                                                                            \
        char theirs[128];                                                                          \
        size_t our_length = format_text(ours, sizeof ours, __VA_ARGS__);                           \
        int their_length = snprintf(theirs, sizeof theirs, __VA_ARGS__);                           \
        assert_string_equal(ours, theirs);                                                         \
        assert_int_equal(our_length, their_length);                                                \
    } while (0)
