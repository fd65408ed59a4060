// SPDX-License-Identifier: MIT
// Tests vmm/runtime/format.c against the C library's snprintf, and kernel/lib/status.c.
#include <limits.h>
#include <string.h>
#include "kernel/lib/status.h"
#include "test/host/lib/same_text.h"

static void test_numbers(void **state)
{
    (void)state;
    SAME("%d %d %u", -1, INT_MIN, UINT_MAX);
    SAME("%ld %lld %lu", LONG_MIN, LLONG_MIN, ULONG_MAX);
    SAME("%x %08x %lx %016lx", 0xabcu, 0xABCu, ~0ul, 0x1234ul);
    SAME("[%5d] [%-5d] [%05d] [%*d] [%2d]", 42, 42, -42, 7, 42, 12345);
    SAME("%d%%", 0);
}

static void test_text(void **state)
{
    (void)state;
    SAME("%s|%10s|%-10s|", "abc", "abc", "abc");
    SAME("%.2s|%.*s|%8.3s|%.0s|", "abc", 1, "abc", "abcdef", "x");
    SAME("%c|%3c|%-3c|", 'a', 'b', 'c');
    SAME("plain");
    char unterminated[3] = {'a', 'b', 'c'};
    SAME("%.3s", unterminated);
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
    assert_int_equal(format_text(NULL, 0, "%d", 1234), 4);
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
    char buffer[32];
    const char *formats[] = {"%q!", "end%", "%5"};
    for (size_t i = 0; i < 3; i++) {
        call_unchecked(buffer, sizeof buffer, formats[i]);
        assert_string_equal(buffer, formats[i]);
    }
    call_unchecked(buffer, sizeof buffer, "%s", (const char *)NULL);
    assert_string_equal(buffer, "(null)");
}

static void test_status_names(void **state)
{
    (void)state;
    for (int i = 0; i < STATUS_COUNT; i++) {
        assert_string_not_equal(status_name((enum status)i), "unknown status");
    }
    assert_string_equal(status_name(STATUS_COUNT), "unknown status");
    assert_string_equal(status_name((enum status)UINT_MAX), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),      cmocka_unit_test(test_text),
        cmocka_unit_test(test_bounds),       cmocka_unit_test(test_unknown_is_copied),
        cmocka_unit_test(test_status_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
