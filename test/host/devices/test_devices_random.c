// SPDX-License-Identifier: MIT
// The device fuzzer on repeatable random input. DEVICES_SEED in the environment replaces the seed,
// DEVICES_ROUNDS the number of machines tried.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "test/fuzz/devices_fuzz.h"

#define INPUT_SIZE 20000u

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void random_machines(void **state)
{
    (void)state;
    static uint8_t input[INPUT_SIZE];
    uint64_t random = from_environment("DEVICES_SEED", 0x9e3779b97f4a7c15u);
    uint64_t rounds = from_environment("DEVICES_ROUNDS", 100);
    printf("DEVICES_SEED=%#llx\n", (unsigned long long)random);
    random = random ? random : 1;
    for (uint64_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < INPUT_SIZE; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            input[i] = (uint8_t)(random >> 32);
        }
        assert_int_equal(LLVMFuzzerTestOneInput(input, INPUT_SIZE), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_machines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
