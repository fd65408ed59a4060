// SPDX-License-Identifier: MIT
// Seeds, counts and comparisons of the lock-step tests (lockstep.h).
#include "test/host/lockstep/lockstep.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "test/spec/print.h"

#define USUAL_SEED 0x6a7e40d5e

static const char *test;
static uint64_t seed;
static uint64_t random_state;
static uint64_t steps;
static uint64_t operations;
static uint64_t reached[SPEC_RULE_COUNT];

static bool number_given(int argc, char **argv, int index, const char *variable, uint64_t *number)
{
    const char *text = argc > index ? argv[index] : getenv(variable);

    if (text == NULL || *text == 0) {
        return false;
    }
    *number = strtoull(text, NULL, 0);
    return true;
}

void lockstep_begin(int argc, char **argv, const char *name, uint64_t usual_steps)
{
    test = name;
    steps = usual_steps;
    seed = USUAL_SEED;
    if (number_given(argc, argv, 1, "GATEHOUSE_SEED", &seed) && seed == 0 &&
        getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        lockstep_fail("no random seed");
    }
    (void)number_given(argc, argv, 2, "GATEHOUSE_STEPS", &steps);
    random_state = seed;
}

bool lockstep_more(void)
{
    return operations < steps;
}

static bool in_modules(const enum spec_module *modules, size_t count, enum spec_rule rule)
{
    for (size_t i = 0; i < count; i++) {
        if (spec_rule_words(rule)->module == modules[i]) {
            return true;
        }
    }
    return false;
}

static int report(const bool wanted[SPEC_RULE_COUNT])
{
    unsigned rules = 0;
    unsigned missed = 0;
    uint64_t refused = operations - reached[SPEC_ALLOWED];

    for (unsigned i = SPEC_ALLOWED + 1; i < SPEC_RULE_COUNT; i++) {
        rules += wanted[i];
        if (wanted[i] && reached[i] == 0) {
            missed++;
            printf("never refused: ");
            spec_rule_print(stdout, (enum spec_rule)i);
            putchar('\n');
        }
    }
    printf("lockstep %s: %" PRIu64 " operations, %" PRIu64 " refused, %u of %u refusals reached, "
           "seed 0x%" PRIx64 "\n",
           test, operations, refused, rules - missed, rules, seed);
    return missed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int lockstep_end(const enum spec_module *modules, size_t count)
{
    bool wanted[SPEC_RULE_COUNT];

    for (unsigned i = SPEC_ALLOWED; i < SPEC_RULE_COUNT; i++) {
        wanted[i] = in_modules(modules, count, (enum spec_rule)i);
    }
    return report(wanted);
}

int lockstep_end_rules(const enum spec_rule *rules, size_t count)
{
    bool wanted[SPEC_RULE_COUNT] = {false};

    for (size_t i = 0; i < count; i++) {
        wanted[rules[i]] = true;
    }
    return report(wanted);
}

// A 64-bit mixer over a counter ("SplitMix64").
uint64_t lockstep_random(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

uint32_t lockstep_below(uint32_t limit)
{
    return (uint32_t)((lockstep_random() >> 32) * limit >> 32);
}

bool lockstep_chance(uint32_t percent)
{
    return lockstep_below(100) < percent;
}

uint64_t lockstep_boundary(uint64_t limit)
{
    switch (lockstep_below(8)) {
    case 0:
        return 0;
    case 1:
        return limit;
    case 2:
        return limit + 1;
    case 3:
        return limit - 1;
    case 4:
        return UINT64_MAX - lockstep_below(3);
    default:
        return limit == UINT64_MAX ? lockstep_random() : lockstep_random() % (limit + 1);
    }
}

void lockstep_counted(enum spec_rule rule)
{
    operations++;
    reached[rule]++;
}

void lockstep_same(const char *what, enum spec_rule rule, enum status status)
{
    lockstep_counted(rule);
    if (spec_rule_words(rule)->status != status) {
        spec_rule_print(stderr, rule);
        lockstep_fail("%s: the kernel says %s", what,
                      status == SPEC_PANIC ? "it stops" : status_name(status));
    }
}

void lockstep_often(const char *what, uint64_t count, uint64_t each)
{
    printf("%s: %" PRIu64 "\n", what, count);
    if (count < operations / each) {
        lockstep_fail("%s: too few", what);
    }
}

void lockstep_equal(const char *what, uint64_t product, uint64_t specification)
{
    if (product != specification) {
        lockstep_fail("%s: the kernel has 0x%" PRIx64 ", the specification 0x%" PRIx64, what,
                      product, specification);
    }
}

void lockstep_fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputc('\n', stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nlockstep %s: operation %" PRIu64 ", seed 0x%" PRIx64 "\n", test, operations,
            seed);
    exit(EXIT_FAILURE);
}

void lockstep_only(const char *what, const void *object, const void *snapshot, size_t size,
                   const struct lockstep_field *fields, size_t count)
{
    const uint8_t *now = object;
    const uint8_t *before = snapshot;
    size_t at = 0;

    while (at < size) {
        if (memcmp(now + at, before + at, size - at) == 0) {
            return;
        }
        while (now[at] == before[at]) {
            at++;
        }
        bool listed = false;
        for (size_t i = 0; i < count && !listed; i++) {
            size_t start = (size_t)((const uint8_t *)fields[i].at - now);

            if (at >= start && at - start < fields[i].size) {
                listed = true;
                at = start + fields[i].size;
            }
        }
        if (!listed) {
            lockstep_fail("%s: changed the byte at %zu, which it must not", what, at);
        }
    }
}
