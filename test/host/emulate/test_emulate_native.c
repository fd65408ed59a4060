// SPDX-License-Identifier: MIT
// The emulator against the processor: a million random instances, of every supported instruction a
// hundred at least.
#include "test/host/emulate/native.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "vmm/emulate/decode.h"

#define CASES 1000000u

static void test_native(void **state)
{
    struct random random = random_start("native");
    unsigned done[OPERATION_COUNT] = {0};
    unsigned wrong = 0;
    unsigned operation = 0;

    (void)state;
    assert_int_equal(native_catch_divide_errors(), 0);
    native_fill(&random);
    for (unsigned i = 0; i < CASES && wrong < 10;) {
        enum native_outcome outcome =
            native_try(&random, random_below(&random, OPCODE_MAP_COUNT * 256), &operation);

        if (outcome == NATIVE_NONE)
            continue;
        wrong += outcome == NATIVE_DIFFERS;
        done[operation]++;
        i++;
    }
    assert_int_equal(wrong, 0);
    for (unsigned i = OPERATION_NONE + 1; i < OPERATION_COUNT; i++) {
        if (!native_lacks(i) && done[i] < 100)
            fail_msg("operation %u ran %u times only", i, done[i]);
    }
}

static int set_up(void **state)
{
    (void)state;
    return native_set_up();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_native)};

    return cmocka_run_group_tests(tests, set_up, NULL);
}
