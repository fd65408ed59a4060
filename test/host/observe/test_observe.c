// SPDX-License-Identifier: MIT
// The observer against a small model of the kernel: each tick is counted once, each exit too.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/console/frame.h"
#include "vmm/monitor/exit_reason.h"
#include "vmm/monitor/observe.h"

static struct vcpu_log the_log;
static struct exit_stats the_stats;
static struct observe_sink sink;
static struct observer observer;
static uint64_t begun; // the kernel's count
static uint64_t now;

static int reset(void **state)
{
    (void)state;
    memset(&the_log, 0, sizeof(the_log));
    memset(&the_stats, 0, sizeof(the_stats));
    begun = 0;
    now = 1000;
    memset(&sink, 0, sizeof(sink));
    sink.stats = &the_stats;
    observe_start(&observer, &the_log, &sink, 3, now);
    return 0;
}

static struct exit_record *record_at(uint64_t number)
{
    return &the_log.records[number % VCPU_LOG_RECORDS];
}

// What the kernel does between an entry and the exit that follows.
static void guest_runs(uint64_t ticks, const struct exit_record *exit)
{
    struct exit_record *next = record_at(begun);

    if (begun > 0) {
        record_at(begun - 1)->resumed = now;
        record_at(begun - 1)->away = the_log.away_return - record_at(begun - 1)->away;
        record_at(begun - 1)->event = 0x80000030;
    }
    now += ticks;
    *next = *exit;
    next->exited = now;
    next->away = the_log.away_return;
    the_log.written = begun++;
    the_log.guest_ticks += ticks;
}

static void away(uint64_t ticks)
{
    the_log.away_return += ticks;
    now += ticks;
}

static void call(bool halted)
{
    observe_call(&observer, now, halted);
    the_log.away_call = the_log.away_return;
}

static uint64_t sum(const struct exit_slices *slices)
{
    return slices->guest + slices->kernel + slices->monitor + slices->halted + slices->other +
           slices->logging;
}

// As if the VM ended now.
static struct exit_slices slices_now(void)
{
    struct observer copy = observer;

    observe_stop(&copy, now);
    return copy.slices;
}

static void test_times_of_one_exit(void **state)
{
    const struct exit_record out = {.qualification = 0x3f80000,
                                    .reason = EXIT_REASON_IO,
                                    .rip = 0x1234,
                                    .before = {0x141, 7, 0x3f8, 9}};
    const struct exit_entry *entry = &sink.batch.entries[0];

    (void)state;
    now += 50; // the monitor before the first call: no exit's
    call(false);
    now += 20;
    guest_runs(100, &out);
    now += 30;
    observe_return(&observer, now);
    assert_false(observe_take(&observer));
    assert_int_equal(sink.batch.header.count, 0); // the record is not complete
    observe_kind(&observer, EXIT_PIO);
    now += 200; // the monitor handles it
    away(40);   // and is interrupted
    call(false);
    now += 25;
    guest_runs(60, &out);
    observe_return(&observer, now);
    assert_false(observe_take(&observer));
    assert_int_equal(sink.batch.header.count, 1);
    assert_int_equal(entry->exited, 1000 + 50 + 20 + 100);
    assert_int_equal(entry->monitor, 200);
    assert_int_equal(entry->kernel, 30 + 25);
    assert_int_equal(entry->other, 40);
    assert_int_equal(entry->halted, 0);
    assert_int_equal(entry->value[0], 0x41);
    assert_int_equal(entry->value[1], 7);
    assert_int_equal(entry->kind, EXIT_PIO);
    assert_int_equal(entry->event, 0x80000030);
    struct exit_slices slices = slices_now();
    assert_int_equal(slices.monitor, 250);
    assert_int_equal(slices.kernel, 20 + 30 + 25);
    assert_int_equal(slices.guest, 160);
    assert_int_equal(sum(&slices), now - 1000);
}

static void test_halt_and_log_service(void **state)
{
    const struct exit_record hlt = {.reason = 12};
    const struct exit_entry *entry = &sink.batch.entries[0];

    (void)state;
    call(false);
    guest_runs(10, &hlt);
    observe_return(&observer, now);
    uint64_t start = now;
    now += 5;
    away(70); // the batch woke the console
    observe_sent(&observer);
    observe_serviced(&observer, start, now);
    now += 11;
    call(true);
    now += 3;
    away(5000);
    now += 4;
    observe_return(&observer, now);
    call(false);
    now += 6;
    guest_runs(10, &hlt);
    observe_return(&observer, now);
    (void)observe_take(&observer);
    assert_int_equal(entry->halted, 5000);
    assert_int_equal(entry->monitor, 11);
    assert_int_equal(entry->other, 75);
    assert_int_equal(entry->kernel, 13);
    struct exit_slices slices = slices_now();
    assert_int_equal(slices.halted, 5000);
    assert_int_equal(slices.logging, 5);
    assert_int_equal(slices.other, 70);
    assert_int_equal(sum(&slices), now - 1000);
    assert_int_equal(slices.elapsed, now - 1000);
}

// Any order of what can happen: the slices always add up, and so do the entries.
static void test_sums_of_random_runs(void **state)
{
    uint64_t first = 0, entries = 0, outside = 0;

    (void)state;
    srand(1);
    for (unsigned i = 0; i < 20000; i++) {
        const struct exit_record exit = {.reason = (uint32_t)rand() % 70};
        uint64_t start = now;

        now += (uint64_t)rand() % 300;
        away((uint64_t)rand() % 3 == 0 ? (uint64_t)rand() % 1000 : 0);
        call(rand() % 8 == 0);
        now += (uint64_t)rand() % 100;
        away((uint64_t)rand() % 4 == 0 ? (uint64_t)rand() % 9000 : 0);
        for (int k = rand() % 4; k > 0 && begun - the_log.taken < VCPU_LOG_RECORDS; k--) {
            now += (uint64_t)rand() % 100;
            guest_runs(1 + (uint64_t)rand() % 500, &exit);
            first = first ? first : now;
        }
        observe_return(&observer, now);
        start = now;
        while (observe_take(&observer) || sink.batch.header.count > 40) {
            for (uint32_t k = 0; k < sink.batch.header.count; k++) {
                const struct exit_entry *entry = &sink.batch.entries[k];

                outside += (uint64_t)entry->kernel + entry->monitor + entry->halted + entry->other;
            }
            entries += sink.batch.header.count;
            observe_sent(&observer);
        }
        now += (uint64_t)rand() % 50;
        away((uint64_t)rand() % 5 == 0 ? (uint64_t)rand() % 90 : 0);
        observe_serviced(&observer, start, now);
        struct exit_slices slices = slices_now();
        assert_int_equal(slices.elapsed, now - 1000);
        assert_int_equal(sum(&slices), slices.elapsed);
        assert_int_equal(slices.guest, the_log.guest_ticks);
    }
    assert_int_equal(entries + sink.batch.header.count, begun - 1);
    assert_int_equal(the_stats.count, begun - 1);
    assert_true(outside < now - first);
}

static void test_last_exit(void **state)
{
    const struct exit_record exit = {.reason = EXIT_REASON_IO, .qualification = 0x6040001};

    (void)state;
    observe_end(&observer, now); // nothing has run
    assert_false(observe_take(&observer));
    assert_int_equal(sink.batch.header.count, 0);
    call(false);
    guest_runs(10, &exit);
    now += 5;
    observe_return(&observer, now);
    observe_kind(&observer, EXIT_PIO);
    now += 90;
    observe_end(&observer, now);
    assert_false(observe_take(&observer));
    assert_int_equal(sink.batch.header.count, 1);
    assert_int_equal(sink.batch.entries[0].monitor, 90);
    assert_int_equal(sink.batch.entries[0].kernel, 5);
}

// Entries of two processors go into the same batch, and what both have lost is told as a sum.
static void test_two_processors(void **state)
{
    static struct vcpu_log other_log;
    static struct observer other;
    const struct exit_record hlt = {.reason = 12};

    (void)state;
    observe_start(&other, &other_log, &sink, 5, now);
    other_log.records[0].reason = 10;
    other_log.written = 1;
    other_log.lost = 7;
    call(false);
    guest_runs(10, &hlt);
    guest_runs(10, &hlt);
    the_log.lost = 2;
    observe_return(&observer, now);
    assert_false(observe_take(&observer));
    assert_false(observe_take(&other));
    assert_int_equal(sink.batch.header.count, 2);
    assert_int_equal(sink.batch.entries[0].vcpu, 3);
    assert_int_equal(sink.batch.entries[1].vcpu, 5);
    assert_int_equal(sink.batch.header.lost, 9);
    other_log.lost = 8;
    assert_false(observe_take(&other));
    assert_false(observe_take(&observer));
    assert_int_equal(sink.batch.header.lost, 10);
    assert_int_equal(the_stats.count, 2);
}

// A record of the kernel, and what its entry says of it.
static const struct {
    struct exit_record record;
    uint64_t word, first, second;
} value_cases[] = {
    {{.reason = EXIT_REASON_CPUID, .before = {7, 1, 2, 3}, .after = {10, 11, 12, 13}},
     11 | 12ull << 32,
     7 | 1ull << 32,
     10 | 13ull << 32},
    {{.reason = EXIT_REASON_RDMSR, .before = {1, 0xc0000080, 2}, .after = {5, 0, 6}},
     0,
     0xc0000080,
     5 | 6ull << 32},
    {{.reason = EXIT_REASON_WRMSR, .before = {8, 0x10, 9}, .after = {5, 0, 6}},
     0,
     0x10,
     8 | 9ull << 32},
    {{.reason = EXIT_REASON_EPT_VIOLATION,
      .qualification = 2,
      .operand = 0xfee00020,
      .before = {77},
      .after = {88}},
     2,
     0xfee00020,
     77},
    {{.reason = EXIT_REASON_EPT_VIOLATION,
      .qualification = 1,
      .operand = 0xfee00020,
      .before = {77},
      .after = {88}},
     1,
     0xfee00020,
     88},
    {{.reason = EXIT_REASON_IO, .qualification = 0x0060000b, .before = {1}, .after = {-1ull}},
     0x0060000b,
     UINT32_MAX,
     0},
    {{.reason = EXIT_REASON_CR, .qualification = 0x300, .operand = 0x80000011},
     0x300,
     0x80000011,
     0},
    {{.reason = EXIT_REASON_EXCEPTION, .qualification = 5, .interruption = 0x8000030e},
     5,
     0x8000030e,
     0},
    {{.reason = 18, .before = {1, 2, 3, 4}}, 0, 1, 4},
    {{.reason = 0x80000021}, 0, 0, 0},
};

static void test_values(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(value_cases); i++) {
        const struct exit_entry *entry = &sink.batch.entries[0];

        the_log.records[the_log.taken % VCPU_LOG_RECORDS] = value_cases[i].record;
        the_log.written = the_log.taken + 1;
        sink.batch.header.count = 0;
        (void)observe_take(&observer);
        assert_int_equal(entry->word, value_cases[i].word);
        assert_int_equal(entry->value[0], value_cases[i].first);
        assert_int_equal(entry->value[1], value_cases[i].second);
        assert_int_equal(entry->reason, (value_cases[i].record.reason & 0x7fff) |
                                            (value_cases[i].record.reason >> 31 ? 0x8000 : 0));
    }
}

static void add_many(uint16_t reason, uint64_t value, uint32_t kernel, unsigned count)
{
    struct exit_entry entry = {
        .reason = reason, .word = value << 16, .value = {value}, .kernel = kernel};

    for (unsigned i = 0; i < count; i++) {
        exit_stats_add(&the_stats, &entry);
    }
}

static void test_medians(void **state)
{
    (void)state;
    assert_int_equal(exit_stats_median(&the_stats, 12), 0);
    add_many(12, 0, 10, 3);
    add_many(12, 0, 500, 4);
    assert_int_equal(exit_stats_median(&the_stats, 12), 500);
    for (uint64_t ticks = 1024; ticks < UINT32_MAX; ticks += ticks / 7) {
        uint64_t median;

        memset(&the_stats, 0, sizeof(the_stats));
        add_many(12, 0, (uint32_t)ticks, 1);
        median = exit_stats_median(&the_stats, 12);
        assert_true(median >= ticks - ticks / 16 && median <= ticks + ticks / 16);
    }
}

static void test_subjects(void **state)
{
    const struct exit_subject *subject;

    (void)state;
    add_many(EXIT_REASON_IO, 0x3f8, 10, 5);
    add_many(EXIT_REASON_IO, 0x20, 100, 1);
    add_many(EXIT_REASON_RDMSR, 0x3f8, 1, 1);
    subject = exit_stats_next(&the_stats, EXIT_REASON_IO, NULL);
    assert_int_equal(exit_subject_value(subject), 0x20);
    subject = exit_stats_next(&the_stats, EXIT_REASON_IO, subject);
    assert_int_equal(exit_subject_value(subject), 0x3f8);
    assert_int_equal(subject->count, 5);
    assert_int_equal(subject->in_kernel, 5);
    assert_int_equal(exit_subject_median(subject), 10);
    assert_null(exit_stats_next(&the_stats, EXIT_REASON_IO, subject));
    assert_non_null(exit_stats_next(&the_stats, EXIT_REASON_RDMSR, NULL));
    assert_null(exit_stats_next(&the_stats, EXIT_REASON_EPT_VIOLATION, NULL));
    for (uint64_t page = 0; page < EXIT_SUBJECTS; page++) {
        add_many(EXIT_REASON_EPT_VIOLATION, page << 12, 1, 1);
    }
    assert_int_equal(the_stats.subjects_lost, 3); // three slots were taken
    add_many(EXIT_REASON_IO, 0x20, 1, 1);
    assert_int_equal(the_stats.subjects_lost, 3); // those that have one keep it
}

static void test_report(void **state)
{
    const struct exit_slices slices[] = {{.elapsed = 200, .guest = 150, .kernel = 50},
                                         {.elapsed = 100, .halted = 100}};
    char text[4096];

    (void)state;
    add_many(EXIT_REASON_CPUID, 0x40000000, 25, 2);
    text[exit_report(&the_stats, slices, 1, 3, text, sizeof(text))] = '\0';
    assert_non_null(strstr(text, "10 CPUID "));
    assert_non_null(strstr(text, "     leaf     0x40000000 "));
    assert_non_null(strstr(text, "75.0 %\n"));
    assert_non_null(strstr(text, "ticks elapsed                           200 100.0 %"));
    assert_null(strstr(text, "vCPU"));
    text[exit_report(&the_stats, slices, 2, 3, text, sizeof(text))] = '\0';
    assert_non_null(strstr(text, "\nvCPU 1              0 "));
    assert_non_null(strstr(text, "ticks elapsed                           300 100.0 %"));
    assert_non_null(strstr(text, "ticks halted                            100  33.3 %"));
    for (size_t size = 1; size < 600; size++) { // whole lines, inside the buffer
        char *exact = malloc(size);
        size_t length = exit_report(&the_stats, slices, 1, 3, exact, size);

        assert_true(length < size);
        assert_true(length == 0 || exact[length - 1] == '\n');
        free(exact);
    }
}

static void test_frame(void **state)
{
    static uint8_t wire[FRAME_MAXIMUM];
    uint8_t payload[FRAME_PAYLOAD_MAXIMUM];
    uint8_t plain[8];
    size_t size;

    (void)state;
    for (size_t i = 0; i < sizeof(payload); i++) {
        payload[i] = (uint8_t)(i * 167 + 13);
    }
    for (size_t length = 0; length <= sizeof(payload); length += 8) {
        size = frame_make(3, 77, payload, length, wire);
        assert_true(size <= sizeof(wire) && size % 8 == 0);
        for (size_t i = 0; i < size; i++) {
            assert_true(wire[i] >= 0x80);
        }
        for (size_t i = 0; i < length; i++) { // byte i of the payload is byte i + 16 of the frame
            size_t group = (i + 16) / 7 * 8, inside = (i + 16) % 7;
            uint8_t high = (uint8_t)((wire[group + 7] >> inside & 1) << 7);

            plain[0] = (uint8_t)((wire[group + inside] & 0x7f) | high);
            assert_int_equal(plain[0], payload[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_times_of_one_exit, reset),
        cmocka_unit_test_setup(test_halt_and_log_service, reset),
        cmocka_unit_test_setup(test_sums_of_random_runs, reset),
        cmocka_unit_test_setup(test_last_exit, reset),
        cmocka_unit_test_setup(test_two_processors, reset),
        cmocka_unit_test_setup(test_values, reset),
        cmocka_unit_test_setup(test_medians, reset),
        cmocka_unit_test_setup(test_subjects, reset),
        cmocka_unit_test_setup(test_report, reset),
        cmocka_unit_test(test_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
