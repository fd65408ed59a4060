// SPDX-License-Identifier: MIT
// Tests kernel/lib/string.c against the C library: all small sizes, offsets and overlaps.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

void *product_memcpy(void *destination, const void *source, size_t size);
void *product_memmove(void *destination, const void *source, size_t size);
void *product_memset(void *destination, int byte, size_t size);
int product_memcmp(const void *left, const void *right, size_t size);
size_t product_strlen(const char *text);
size_t product_strnlen(const char *text, size_t limit);
int product_strcmp(const char *left, const char *right);

#define SPAN 64

static void fill(uint8_t *bytes)
{
    for (int i = 0; i < SPAN; i++) {
        bytes[i] = (uint8_t)(i * 7 + 1);
    }
}

static void test_copies(void **state)
{
    (void)state;
    for (size_t from = 0; from < 20; from++) {
        for (size_t to = 0; to < 20; to++) {
            for (size_t size = 0; size < 40; size++) {
                uint8_t ours[SPAN], theirs[SPAN], source[SPAN];
                fill(ours), fill(theirs), fill(source);
                assert_ptr_equal(product_memmove(ours + to, ours + from, size), ours + to);
                memmove(theirs + to, theirs + from, size);
                assert_memory_equal(ours, theirs, SPAN);
                assert_ptr_equal(product_memcpy(ours + to, source + from, size), ours + to);
                memcpy(theirs + to, source + from, size);
                assert_memory_equal(ours, theirs, SPAN);
            }
        }
    }
}

static void test_set(void **state)
{
    (void)state;
    for (size_t at = 0; at < 20; at++) {
        for (size_t size = 0; size < 40; size++) {
            uint8_t ours[SPAN], theirs[SPAN];
            fill(ours), fill(theirs);
            assert_ptr_equal(product_memset(ours + at, 0x1a5, size), ours + at);
            memset(theirs + at, 0xa5, size);
            assert_memory_equal(ours, theirs, SPAN);
        }
    }
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

static void test_compare(void **state)
{
    (void)state;
    const char *texts[] = {"", "a", "ab", "abc", "abd", "b", "\xff", "a\xff"};
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(product_strlen(texts[i]), strlen(texts[i]));
        for (size_t j = 0; j < 8; j++) {
            assert_int_equal(sign(product_strcmp(texts[i], texts[j])),
                             sign(strcmp(texts[i], texts[j])));
        }
    }
    assert_int_equal(product_memcmp("a\0b", "a\0c", 3), -1);
    assert_int_equal(product_memcmp("\xff", "\x01", 1), 254);
    assert_int_equal(product_memcmp("x", "y", 0), 0);
}

static void test_search(void **state)
{
    (void)state;
    const char *text = "hello";
    assert_int_equal(product_strnlen(text, 3), 3);
    assert_int_equal(product_strnlen(text, 99), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
