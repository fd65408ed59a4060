// SPDX-License-Identifier: MIT
// Random numbers with a seed: the numbers repeat, and differ between seeds and processors.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/monitor/random.h"

#define NUMBERS 1000u

static uint64_t draw(struct random_source *source)
{
    uint64_t value = 0;

    assert_true(random_next(source, &value));
    return value;
}

static void test_numbers_repeat(void **state)
{
    struct random_source first, second;
    static uint64_t seen[NUMBERS];
    unsigned ones = 0;

    (void)state;
    random_seed(&first, 42, 1);
    random_seed(&second, 42, 1);
    for (unsigned i = 0; i < NUMBERS; i++) {
        seen[i] = draw(&first);
        assert_int_equal(seen[i], draw(&second));
        ones += (unsigned)__builtin_popcountll(seen[i]);
        for (unsigned k = 0; k < i; k++) {
            assert_int_not_equal(seen[k], seen[i]);
        }
    }
    assert_in_range(ones, NUMBERS * 31, NUMBERS * 33);
}

static void test_seeds_and_processors_differ(void **state)
{
    struct random_source source;
    uint64_t drawn[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        random_seed(&source, 42 + i / 2, i & 1);
        drawn[i] = draw(&source);
        for (unsigned k = 0; k < i; k++) {
            assert_int_not_equal(drawn[k], drawn[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_repeat),
        cmocka_unit_test(test_seeds_and_processors_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
