// SPDX-License-Identifier: MIT
// Exceptions that were intercepted: given back unchanged, and what becomes of one that came up
// during the delivery of another event ("Conditions for Generating a Double Fault").
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "test/host/monitor/machine_fixture.h"

#define HARDWARE(vector) (VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | (vector))

static enum outcome intercept(struct fixture *fixture, uint32_t first, uint32_t second)
{
    memset(&fixture->page.exit, 0, sizeof(fixture->page.exit));
    fixture->page.dirty = 0;
    fixture->page.event = (struct vcpu_event){.word = first};
    fixture->page.exit.kind = EXIT_EXCEPTION;
    fixture->page.exit.exception.word = second;
    fixture->page.exit.exception.error_code = 0x5a;
    fixture->page.exit.exception.address = 0xabc000;
    return exit_table[EXIT_EXCEPTION].handle(&fixture->machine);
}

static void test_given_back(void **state)
{
    struct fixture *fixture = fixture_new();
    struct vcpu_event *event = &fixture->page.event;

    (void)state;
    assert_int_equal(intercept(fixture, 0, HARDWARE(6)), OUTCOME_RESUME);
    assert_int_equal(event->word, HARDWARE(6));
    assert_int_equal(event->error_code, 0);
    assert_int_equal(fixture->page.cr2, 0);
    assert_int_equal(intercept(fixture, 0, HARDWARE(14) | VCPU_EVENT_ERROR_CODE), OUTCOME_RESUME);
    assert_int_equal(event->word, HARDWARE(14) | VCPU_EVENT_ERROR_CODE);
    assert_int_equal(event->error_code, 0x5a);
    assert_int_equal(fixture->page.cr2, 0xabc000);
    fixture->page.exit.instruction_length = 2;
    free(fixture);
}

static void test_software_exceptions_keep_their_length(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture->page.exit = (struct vm_exit){.kind = EXIT_EXCEPTION, .instruction_length = 1};
    fixture->page.exit.exception.word = VCPU_EVENT_VALID | VCPU_EVENT_SOFTWARE_EXCEPTION | 3;
    assert_int_equal(exit_table[EXIT_EXCEPTION].handle(&fixture->machine), OUTCOME_RESUME);
    assert_int_equal(fixture->page.event.word, fixture->page.exit.exception.word);
    assert_int_equal(fixture->page.event.instruction_length, 1);
    free(fixture);
}

static void test_debug_exceptions_reach_dr6(void **state)
{
    struct fixture *fixture = fixture_new();
    struct vcpu_page *page = &fixture->page;

    (void)state;
    page->valid &= ~(uint32_t)VCPU_GROUP_DEBUG;
    assert_int_equal(intercept(fixture, 0, HARDWARE(1)), OUTCOME_FETCH);
    assert_int_equal(fixture->machine.need, VCPU_GROUP_DEBUG);
    page->valid |= VCPU_GROUP_DEBUG;
    page->dr6 = 0xffff8ff3;
    page->dr7 = 0x2400;
    page->exit.exception.address = 0x6004; // breakpoint 2, general detect, single step
    page->event.word = 0;
    assert_int_equal(exit_table[EXIT_EXCEPTION].handle(&fixture->machine), OUTCOME_RESUME);
    assert_int_equal(page->dr6, 0xffffeff4); // the cause bits 0 to 3 are this exception's
    assert_int_equal(page->dr7, 0x400);
    assert_true((page->dirty & VCPU_GROUP_DEBUG) != 0);
    free(fixture);
}

// What becomes of `second` during the delivery of `first`: 0 a double fault, 1 a shutdown, 2 it is
// given back.
static int outcome(uint32_t first, uint32_t second)
{
    struct fixture *fixture = fixture_new();
    enum outcome result = intercept(fixture, first, second);
    int kind = 2;

    if (result == OUTCOME_STOP) {
        kind = 1;
        assert_int_equal(fixture->machine.stop.status, RUN_TRIPLE_FAULT);
    } else if (fixture->page.event.word == (HARDWARE(8) | VCPU_EVENT_ERROR_CODE)) {
        kind = 0;
        assert_int_equal(fixture->page.event.error_code, 0);
    } else {
        assert_int_equal(fixture->page.event.word, second);
    }
    free(fixture);
    return kind;
}

static void test_pairs(void **state)
{
    static const uint32_t classes[][2] = {{6, 1}, {0, 13}, {14, 14}}; // benign, contributory, #PF
    static const int wanted[3][3] = {{2, 2, 2}, {2, 0, 2}, {2, 0, 0}};

    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        for (unsigned j = 0; j < 4; j++) {
            uint32_t first = classes[i / 3][j & 1], second = classes[i % 3][j >> 1];

            assert_int_equal(outcome(HARDWARE(first), HARDWARE(second)), wanted[i / 3][i % 3]);
        }
    }
    for (uint32_t vector = 10; vector <= 14; vector++) {
        assert_int_equal(outcome(HARDWARE(8), HARDWARE(vector)), 1);
    }
    assert_int_equal(outcome(HARDWARE(8), HARDWARE(6)), 2);
    // Interrupts and INT n are no faults, whatever their vector.
    assert_int_equal(outcome(VCPU_EVENT_VALID | VCPU_EVENT_EXTERNAL | 14, HARDWARE(14)), 2);
    assert_int_equal(outcome(VCPU_EVENT_VALID | VCPU_EVENT_SOFTWARE_INTERRUPT | 13, HARDWARE(13)),
                     2);
}

// The single-step trap of HLT comes at once: the guest does not sleep.
static void test_halt_under_single_step(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture->page.rflags |= RFLAGS_IF | RFLAGS_TF;
    assert_int_equal(fixture_handle(fixture, EXIT_HLT), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.halted, 0);
    free(fixture);
}

// A handler finds RF set in the flags that a fault pushed, but not in those of a trap.
static void test_faults_set_the_resume_flag(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture->page.dirty = 0;
    event_raise_step(&fixture->machine);
    assert_int_equal(fixture->page.rflags & RFLAGS_RF, 0);
    event_raise_error(&fixture->machine, VECTOR_PROTECTION, 0);
    assert_int_equal(fixture->page.rflags & RFLAGS_RF, RFLAGS_RF);
    assert_int_equal(fixture->page.dirty & VCPU_GROUP_RIP, VCPU_GROUP_RIP);
    free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_given_back),
        cmocka_unit_test(test_software_exceptions_keep_their_length),
        cmocka_unit_test(test_debug_exceptions_reach_dr6),
        cmocka_unit_test(test_halt_under_single_step),
        cmocka_unit_test(test_faults_set_the_resume_flag),
        cmocka_unit_test(test_pairs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
