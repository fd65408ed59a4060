// SPDX-License-Identifier: MIT
// Tests kernel/lib/format.c against the C library's snprintf.
#include <limits.h>
#include <string.h>
#include "test/host/lib/same_text.h"

static void test_conversions(void **state)
{
    (void)state;
    SAME("%u %u %lu %llu", 0u, UINT_MAX, ULONG_MAX, ULLONG_MAX);
    SAME("%x %08x %lx %016lx %04lx", 0xabcu, 0xABCu, ~0ul, 0x1234ul, 0x123456ul);
    SAME("%s|%s|", "abc", "");
    SAME("plain");
    SAME("%022u", UINT_MAX);
}

static void test_bounds(void **state)
{
    (void)state;
    char buffer[8];
    memset(buffer, '#', sizeof buffer);
    assert_int_equal(format_text(buffer, 4, "%s", "abcdef"), 6);
    assert_memory_equal(buffer, "abc\0####", 8);
    assert_int_equal(format_text(buffer, 1, "abc"), 3);
    assert_int_equal(buffer[0], 0);
    assert_int_equal(format_text(NULL, 0, "%u", 1234u), 4);
}

static void call_unchecked(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    format_text_va(buffer, size, format, arguments);
    va_end(arguments);
}

static void test_unknown_is_copied(void **state)
{
    (void)state;
    char buffer[64];
    const char *formats[] = {"%q!", "end%", "%5", "%-5x", "%%"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        call_unchecked(buffer, sizeof buffer, formats[i]);
        assert_string_equal(buffer, formats[i]);
    }
    call_unchecked(buffer, sizeof buffer, "%s", (const char *)NULL);
    assert_string_equal(buffer, "(null)");
    call_unchecked(buffer, sizeof buffer, "%99x", 0xau); // more than any number has
    assert_string_equal(buffer, "0000000000000000000000a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversions),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_unknown_is_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
