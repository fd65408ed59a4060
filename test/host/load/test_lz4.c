// SPDX-License-Identifier: MIT
// The LZ4 decoder: round trips through a small encoder of the test's own, every refusal, and
// damaged input in buffers of exact size.
#include "vmm/load/lz4.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test/host/load/fixture.h"

// A greedy encoder: for each position the nearest earlier match among the last `window` bytes.
struct encoder {
    uint8_t *out;
    uint64_t size;
};

static void put_length(struct encoder *encoder, uint64_t length)
{
    while (length >= 255) {
        encoder->out[encoder->size++] = 255;
        length -= 255;
    }
    encoder->out[encoder->size++] = (uint8_t)length;
}

static void put_sequence(struct encoder *encoder, const uint8_t *literals, uint64_t count,
                         uint64_t distance, uint64_t match)
{
    uint64_t extra = match == 0 ? 0 : match - 4;
    uint8_t token = (uint8_t)((count < 15 ? count : 15) << 4 | (extra < 15 ? extra : 15));

    encoder->out[encoder->size++] = token;
    if (count >= 15) {
        put_length(encoder, count - 15);
    }
    memcpy(encoder->out + encoder->size, literals, count);
    encoder->size += count;
    if (match == 0) {
        return;
    }
    encoder->out[encoder->size++] = (uint8_t)distance;
    encoder->out[encoder->size++] = (uint8_t)(distance >> 8);
    if (extra >= 15) {
        put_length(encoder, extra - 15);
    }
}

static uint64_t match_length(const uint8_t *data, uint64_t size, uint64_t at, uint64_t distance)
{
    uint64_t length = 0;

    while (at + length < size && data[at + length] == data[at + length - distance]) {
        length++;
    }
    return length;
}

static uint64_t encode_block(const uint8_t *data, uint64_t size, uint8_t *out, uint64_t window)
{
    struct encoder encoder = {out, 0};
    uint64_t start = 0;
    uint64_t at = 0;

    while (at < size) {
        uint64_t best = 0;
        uint64_t best_distance = 0;
        for (uint64_t distance = 1; distance <= window && distance <= at; distance++) {
            uint64_t length = match_length(data, size, at, distance);
            if (length > best) {
                best = length;
                best_distance = distance;
            }
        }
        if (best < 4) {
            at++;
            continue;
        }
        put_sequence(&encoder, data + start, at - start, best_distance, best);
        at += best;
        start = at;
    }
    put_sequence(&encoder, data + start, at - start, 0, 0);
    return encoder.size;
}

// Random text with runs and repetitions at all small distances.
static void make_data(uint8_t *data, uint64_t size)
{
    uint64_t at = 0;

    while (at < size) {
        uint64_t run = 1 + random_below(40);
        uint32_t kind = random_below(3);
        uint64_t distance = 1 + random_below(40);

        for (; run > 0 && at < size; run--, at++) {
            if (kind == 0) {
                data[at] = (uint8_t)random_below(256);
            } else {
                data[at] = at >= distance ? data[at - distance] : 'x';
            }
        }
    }
}

// Decodes from and into heap buffers of exact size.
static enum status decode_exactly(const uint8_t *input, uint64_t input_size,
                                  const uint8_t *expected, uint64_t capacity, uint64_t *written)
{
    uint8_t *in = malloc(input_size == 0 ? 1 : input_size);
    uint8_t *out = malloc(capacity == 0 ? 1 : capacity);

    assert_non_null(in);
    assert_non_null(out);
    memcpy(in, input, input_size);
    enum status status = lz4_decode_block(in, input_size, out, capacity, written);
    if (status == STATUS_OK && expected != NULL) {
        assert_int_equal(*written, capacity);
        assert_memory_equal(out, expected, capacity);
    }
    free(in);
    free(out);
    return status;
}

static void test_round_trips(void **state)
{
    static uint8_t data[6000];
    static uint8_t packed[8000];
    uint64_t written;

    (void)state;
    random_seed(1);
    for (unsigned round = 0; round < 400; round++) {
        uint64_t size = round < 80 ? round : random_below(sizeof(data));
        make_data(data, size);
        uint64_t length = encode_block(data, size, packed, 1 + random_below(64));
        assert_int_equal(decode_exactly(packed, length, data, size, &written), STATUS_OK);
    }
}

static void test_output_limit(void **state)
{
    static uint8_t data[600];
    static uint8_t packed[900];
    uint64_t written;

    (void)state;
    random_seed(2);
    make_data(data, sizeof(data));
    uint64_t length = encode_block(data, sizeof(data), packed, 64);
    for (uint64_t capacity = 0; capacity < sizeof(data); capacity++) {
        assert_int_equal(decode_exactly(packed, length, NULL, capacity, &written),
                         STATUS_MALFORMED);
    }
}

static void test_truncations(void **state)
{
    static uint8_t data[900];
    static uint8_t packed[1200];
    uint64_t written;
    unsigned refused = 0;

    (void)state;
    random_seed(3);
    make_data(data, sizeof(data));
    uint64_t length = encode_block(data, sizeof(data), packed, 64);
    for (uint64_t cut = 0; cut < length; cut++) {
        // A block may be cut right after literals; it is then a shorter block, not a damaged one.
        enum status status = decode_exactly(packed, cut, NULL, sizeof(data), &written);
        refused += status != STATUS_OK;
        assert_true(status != STATUS_OK || written < sizeof(data));
    }
    assert_true(refused > length / 2);
}

static void test_mutations(void **state)
{
    static uint8_t data[3000];
    static uint8_t packed[4000];
    static uint8_t damaged[4000];
    uint64_t written;

    (void)state;
    random_seed(4);
    make_data(data, sizeof(data));
    uint64_t length = encode_block(data, sizeof(data), packed, 64);
    for (unsigned round = 0; round < 4000; round++) {
        memcpy(damaged, packed, length);
        for (unsigned i = 0; i <= random_below(3); i++) {
            damaged[random_below((uint32_t)length)] = (uint8_t)random_below(256);
        }
        (void)!decode_exactly(damaged, length, NULL, sizeof(data), &written);
    }
}

static void test_bad_blocks(void **state)
{
    uint64_t written;
    static const struct {
        const char *bytes;
        uint64_t size;
    } bad[] = {
        {"", 0},                             // nothing, not even a token
        {"\xf0", 1},                         // literal length cut off
        {"\xf0\xff\xff", 3},                 // the same, further on
        {"\x20\x61", 2},                     // literals cut off
        {"\x10\x61\x01", 3},                 // distance cut off
        {"\x10\x61\x00\x00\x00", 5},         // distance 0
        {"\x10\x61\x02\x00\x00", 5},         // before the output's start
        {"\x1f\x61\x01\x00", 4},             // match length cut off
        {"\x10\x61\x01\x00", 4},             // ends with a match, not with literals
        {"\x1f\x61\x01\x00\xff\x00\x00", 7}, // longer than the output
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(
            decode_exactly((const uint8_t *)bad[i].bytes, bad[i].size, NULL, 64, &written),
            STATUS_MALFORMED);
        assert_int_equal(written, 0);
    }
}

static uint64_t add_block(uint8_t *frame, uint64_t at, const char *block, uint32_t size)
{
    put32(frame + at, size);
    memcpy(frame + at + 4, block, size);
    return at + 4 + size;
}

static void test_frames(void **state)
{
    uint8_t frame[64];
    uint8_t out[16];
    uint64_t written;
    uint64_t failed_at;

    (void)state;
    put32(frame, LZ4_LEGACY_MAGIC);
    uint64_t first = add_block(frame, 4, "\x10\x61\x01\x00\x10\x62", 6);
    uint64_t end = add_block(frame, first, "\x30xyz", 4);
    assert_true(lz4_is_legacy(frame, end));
    assert_int_equal(lz4_decode_legacy(frame, end, out, sizeof(out), &written, &failed_at),
                     STATUS_OK);
    assert_int_equal(written, 9);
    assert_memory_equal(out, "aaaaabxyz", 9);

    // Cut inside the second block, inside its length, and no room for it.
    assert_int_equal(lz4_decode_legacy(frame, end - 1, out, sizeof(out), &written, &failed_at),
                     STATUS_MALFORMED);
    assert_int_equal(failed_at, first);
    assert_int_equal(written, 6);
    assert_int_equal(lz4_decode_legacy(frame, first + 3, out, sizeof(out), &written, &failed_at),
                     STATUS_MALFORMED);
    assert_int_equal(lz4_decode_legacy(frame, end, out, 8, &written, &failed_at), STATUS_MALFORMED);

    frame[0] ^= 1;
    assert_false(lz4_is_legacy(frame, end));
    assert_false(lz4_is_legacy(frame, 3));
    assert_int_equal(lz4_decode_legacy(frame, end, out, sizeof(out), &written, &failed_at),
                     STATUS_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips), cmocka_unit_test(test_output_limit),
        cmocka_unit_test(test_truncations), cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_bad_blocks),  cmocka_unit_test(test_frames),
    };

    return cmocka_run_group_tests_name("lz4", tests, NULL, NULL);
}
