// SPDX-License-Identifier: MIT
// The decoder against Zydis: random instructions of every supported opcode in the three modes, all
// addressing forms, and instructions cut off at every length.
#include "test/host/emulate/oracle.h"
#include "test/host/emulate/random.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#define CASES   1000000u
#define OPCODES (OPCODE_MAP_COUNT * 256u)

// Counts what the decoder said.
static bool compare(const uint8_t bytes[15], unsigned mode, unsigned outcomes[4])
{
    enum decode_outcome outcome;
    bool same = oracle_compare(bytes, mode, &outcome);

    outcomes[outcome]++;
    return same;
}

// An opcode after a few prefixes, now and then after too many.
static void make_bytes(struct random *random, uint32_t number, unsigned mode, uint8_t bytes[15])
{
    static const uint8_t prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
                                       0x66, 0x66, 0x67, 0x67, 0xf2, 0xf3};
    uint32_t count = random_below(random, random_below(random, 32) == 0 ? 15 : 4);
    uint8_t buffer[40];
    unsigned next = 0;

    for (unsigned i = 0; i < sizeof(buffer); i++)
        buffer[i] = (uint8_t)random_next(random);
    while (next < count)
        buffer[next++] = prefixes[random_below(random, sizeof(prefixes))];
    if (random_below(random, 16) == 0)
        buffer[next++] = 0xf0;
    if (mode == 64 && random_below(random, 2))
        buffer[next++] = 0x40 | random_below(random, 16);
    if (number >= 256)
        buffer[next++] = 0x0f;
    if (number >= 512)
        buffer[next++] = 0x38;
    buffer[next] = (uint8_t)number;
    memcpy(bytes, buffer, 15);
}

static bool is_known(uint32_t number)
{
    const struct opcode *row = &opcode_maps[number / 256][number % 256];

    return row->operation != 0 || row->flags != 0;
}

static void test_random(void **state)
{
    static const unsigned modes[] = {16, 32, 64};
    struct random random = random_start("decode");
    unsigned outcomes[4] = {0};
    unsigned wrong = 0;
    uint32_t number = 0;
    uint8_t bytes[15];

    (void)state;
    for (uint32_t i = 0; i < CASES && wrong < 10; i++) {
        do
            number = (number + 1) % OPCODES;
        while (!is_known(number) && random_below(&random, 8) != 0);
        make_bytes(&random, number, modes[i % 3], bytes);
        wrong += !compare(bytes, modes[i % 3], outcomes);
    }
    assert_int_equal(wrong, 0);
    assert_true(outcomes[DECODE_OK] > CASES / 2);
    for (unsigned i = 0; i < 4; i++)
        assert_true(outcomes[i] > 100);
}

// All 256 ModRM bytes with every SIB byte where there is one.
static void test_addressing(void **state)
{
    unsigned outcomes[4] = {0};
    uint8_t bytes[16] = {0x67, 0x48, 0x8b, 0, 0, 0x81, 0x92, 0xa3, 0xb4, 1, 2, 3, 4, 5, 6};

    (void)state;
    for (unsigned modrm = 0; modrm < 256; modrm++) {
        for (unsigned sib = 0; sib < 256; sib++) {
            bytes[3] = (uint8_t)modrm;
            bytes[4] = (uint8_t)sib;
            for (unsigned rex = 0x40; rex < 0x50; rex++) {
                bytes[1] = (uint8_t)rex;
                assert_true(compare(&bytes[1], 64, outcomes));
            }
            assert_true(compare(bytes, 64, outcomes));
        }
        bytes[1] = 0x66;
        assert_true(compare(bytes, 16, outcomes));
        assert_true(compare(bytes, 32, outcomes));
        assert_true(compare(&bytes[1], 16, outcomes));
        assert_true(compare(&bytes[1], 32, outcomes));
    }
}

// With fewer bytes than the instruction has, the decoder asks for more, whatever they are.
static void test_truncation(void **state)
{
    struct random random = random_start("truncation");
    struct instruction whole;
    struct instruction part;
    uint8_t bytes[15];

    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        unsigned mode = i % 2 ? 64 : 16;

        make_bytes(&random, i % OPCODES, mode, bytes);
        if (decode_instruction(bytes, 15, mode, &whole) != DECODE_OK)
            continue;
        for (uint32_t length = 0; length < whole.length; length++)
            assert_int_equal(decode_instruction(bytes, length, mode, &part), DECODE_MORE);
        assert_int_equal(decode_instruction(bytes, whole.length, mode, &part), DECODE_OK);
        assert_memory_equal(&part, &whole, sizeof(part));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_addressing),
        cmocka_unit_test(test_truncation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
