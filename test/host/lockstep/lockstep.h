// SPDX-License-Identifier: MIT
// What the lock-step tests share. Such a test drives the kernel's own code and its specification
// (test/spec) together through random and boundary sequences. After each call
//   - both gave the same result: allowed, or refused with the status that the rule names;
//   - the kernel's state, seen as the specification sees it, is the specification's next state;
//   - of the kernel's bytes only those changed that the test lists;
// and at the end every rule of the test's module was seen broken, or the test fails.
//
// The seed is printed, and always the same unless GATEHOUSE_SEED=N in the environment or the first
// argument gives another; 0 takes one at random.
// GATEHOUSE_STEPS=N or the second argument sets how many operations there are.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "test/spec/rule.h"

// Reads the seed and begins; `steps`: how many operations the test does unless told otherwise.
void lockstep_begin(int argc, char **argv, const char *name, uint64_t steps);

// True while there are operations to do.
bool lockstep_more(void);

// Ends the test: fails when a rule of the `count` modules was never reached. Prints the counts.
// Returns main's result.
int lockstep_end(const enum spec_module *modules, size_t count);

// The same where the kernel by itself never breaks the other rules of its modules (the test of the
// specification by itself does): these are the ones to reach.
int lockstep_end_rules(const enum spec_rule *rules, size_t count);

// A random number; one below `limit` (> 0); one that likes the ends of [0, limit].
uint64_t lockstep_random(void);
uint32_t lockstep_below(uint32_t limit);
bool lockstep_chance(uint32_t percent);
uint64_t lockstep_boundary(uint64_t limit);

// Counts an operation that gave `status` where the specification says `rule`; fails when they do
// not agree. `what`: the call, for the report of a failure.
void lockstep_same(const char *what, enum spec_rule rule, enum status status);

// Counts an operation whose result is not a status; the caller has compared it.
void lockstep_counted(enum spec_rule rule);

// Prints how often something was reached; fails where that is less than once in `each` operations.
void lockstep_often(const char *what, uint64_t count, uint64_t each);

// Fails unless the two values are equal.
void lockstep_equal(const char *what, uint64_t product, uint64_t specification);

NORETURN PRINTF(1, 2) void lockstep_fail(const char *format, ...);

// A part of an object that a call may change.
struct lockstep_field {
    const void *at;
    size_t size;
};

#define LOCKSTEP_FIELD(lvalue)                                                                     \
    {                                                                                              \
        &(lvalue), sizeof(lvalue)                                                                  \
    }

// Fails when a byte of the object at `object` outside the `count` fields differs from `snapshot`.
void lockstep_only(const char *what, const void *object, const void *snapshot, size_t size,
                   const struct lockstep_field *fields, size_t count);
