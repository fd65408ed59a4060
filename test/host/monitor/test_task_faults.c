// SPDX-License-Identifier: MIT
// What can go wrong in a hardware task switch: each check of the manual's table "Exception
// Conditions Checked During a Task Switch" with its vector and error code. What fails before the
// switch is committed changes nothing; what fails after it belongs to the new task.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "test/host/monitor/task_guest.h"

// -- what refuses the switch in the old task ------------------------------------------------------

struct refusal {
    uint8_t source;
    uint8_t access; // of the new TSS
    uint16_t selector;
    uint16_t limit; // of the new TSS
    uint8_t vector;
};

static const struct refusal refusals[] = {
    {CALL, TSS_32, BEYOND, 0x67, VECTOR_PROTECTION},
    {JUMP, TSS_32, BEYOND, 0x67, VECTOR_PROTECTION},
    {GATE, TSS_32, BEYOND, 0x67, VECTOR_PROTECTION},
    {IRET, TSS_32, BEYOND, 0x67, VECTOR_TASK},
    {CALL, TSS_32, NEW | 4, 0x67, VECTOR_PROTECTION}, // names the LDT
    {IRET, TSS_32 | BUSY, NEW | 4, 0x67, VECTOR_TASK},
    {CALL, TSS_32 | BUSY, NEW, 0x67, VECTOR_PROTECTION},
    {JUMP, TSS_16 | BUSY, NEW, 0x67, VECTOR_PROTECTION},
    {GATE, TSS_32 | BUSY, NEW, 0x67, VECTOR_PROTECTION},
    {IRET, TSS_32, NEW, 0x67, VECTOR_TASK},
    {IRET, TSS_16, NEW, 0x67, VECTOR_TASK},
    {CALL, LDT_TYPE, NEW, 0x67, VECTOR_PROTECTION},
    {CALL, CODE_TYPE, NEW, 0x67, VECTOR_PROTECTION},
    {CALL, TSS_32 & ~PRESENT, NEW, 0x67, VECTOR_NOT_PRESENT},
    {IRET, (TSS_32 | BUSY) & ~PRESENT, NEW, 0x67, VECTOR_NOT_PRESENT},
    {CALL, TSS_32, NEW, 0x66, VECTOR_TASK},
    {GATE, TSS_16, NEW, 0x2a, VECTOR_TASK},
};

static void test_refused_in_the_old_task(void **state)
{
    static uint8_t ram[FIXTURE_MEMORY];

    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        const struct refusal *row = &refusals[i];
        struct vcpu_page before;

        put_descriptor(fixture, GDT + NEW, NEW_TSS, row->limit, row->access, 0);
        memcpy(ram, fixture->ram, sizeof(ram));
        before = *page;
        assert_int_equal(switch_to(row->source, row->selector, 0), OUTCOME_RESUME);
        if (!raised_with(fixture, row->vector, row->selector & ~3u)) {
            fail_msg("row %zu: event 0x%x, error code 0x%x", i, page->event.word,
                     page->event.error_code);
        }
        assert_memory_equal(fixture->ram, ram, sizeof(ram));
        assert_memory_equal(page->gpr, before.gpr, sizeof(page->gpr));
        assert_memory_equal(page->segment, before.segment, sizeof(page->segment));
        assert_int_equal(page->rip, RIP);
        assert_int_equal(page->rflags, before.rflags | RFLAGS_RF); // a fault
        assert_int_equal(page->cr0, before.cr0);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

// The task-state segments are the supervisor's, and may lie in pages that fault.
static void test_page_faults_in_the_old_task(void **state)
{
    static const struct {
        uint32_t address, bits, error_code;
    } rows[] = {{NEW_TSS, 0, 0}, {OLD_TSS, 1, 3}, {GDT, 0, 0}};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        map_32(fixture);
        page->cr0 |= 1u << 16; // WP
        prepare(IRET);
        set_page_32(fixture, rows[i].address, rows[i].bits);
        assert_int_equal(switch_to(IRET, NEW, 0), OUTCOME_RESUME);
        assert_true(raised_with(fixture, VECTOR_PAGE, rows[i].error_code));
        assert_int_equal(page->cr2 & ~0xfffull, rows[i].address);
        assert_int_equal(page->rip, RIP);
        assert_true((page->rflags & NT) != 0); // else the IRET would not be one of tasks again
        assert_int_equal(page->segment[SEGMENT_TR].selector, OLD);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

// -- what fails in the new task -----------------------------------------------------------------

// The new task's segment `index` is `selector`, whose descriptor in the GDT gets `access`, unless
// 0.
struct failure {
    uint8_t index;
    uint16_t selector;
    uint8_t access;
    uint8_t vector; // 0: it does not fail
};

static const struct failure failures[] = {
    {SEGMENT_CS, 0, 0, VECTOR_TASK},
    {SEGMENT_CS, BEYOND, 0, VECTOR_TASK},
    {SEGMENT_CS, LDT_LIMIT + 5, 0, VECTOR_TASK}, // beyond the new LDT
    {SEGMENT_CS, DATA, 0, VECTOR_TASK},
    {SEGMENT_CS, LOCAL, 0, VECTOR_TASK},
    {SEGMENT_CS, CODE | 3, 0, VECTOR_TASK},
    {SEGMENT_CS, CODE_3, 0, VECTOR_TASK},
    {SEGMENT_CS, OTHER, CODE_TYPE | 4, 0},                   // conforming
    {SEGMENT_CS, OTHER, CODE_TYPE | 4 | DPL_3, VECTOR_TASK}, // DPL above RPL
    {SEGMENT_CS, OTHER, CODE_TYPE & ~PRESENT, VECTOR_NOT_PRESENT},
    {SEGMENT_SS, 0, 0, VECTOR_TASK},
    {SEGMENT_SS, BEYOND, 0, VECTOR_TASK},
    {SEGMENT_SS, CODE, 0, VECTOR_TASK},
    {SEGMENT_SS, OTHER, 0x90, VECTOR_TASK}, // not writable
    {SEGMENT_SS, DATA | 3, 0, VECTOR_TASK},
    {SEGMENT_SS, DATA_3, 0, VECTOR_TASK},
    {SEGMENT_SS, OTHER, DATA_TYPE & ~PRESENT, VECTOR_STACK},
    {SEGMENT_DS, BEYOND, 0, VECTOR_TASK},
    {SEGMENT_DS, OTHER, 0x98, VECTOR_TASK}, // code that cannot be read
    {SEGMENT_DS, OTHER, 0x9e, 0},           // conforming code that can
    {SEGMENT_DS, DATA | 3, 0, VECTOR_TASK}, // RPL above DPL
    {SEGMENT_ES, OLD, 0, VECTOR_TASK},
    {SEGMENT_FS, 3, 0, 0}, // null with any RPL
    {SEGMENT_FS, OTHER, DATA_TYPE & ~PRESENT, VECTOR_NOT_PRESENT},
    {SEGMENT_GS, OTHER, CODE_TYPE & ~PRESENT, VECTOR_NOT_PRESENT},
};

static void check_failure(const struct failure *row, size_t number, uint32_t event)
{
    uint32_t error_code = (row->selector & ~3u) | (event == EXTERNAL ? 1 : 0);

    if (row->access != 0) {
        put_flat(fixture, row->selector & ~7u, row->access);
    }
    put_selector(row->index, row->selector);
    assert_int_equal(switch_to(event != 0 ? GATE : CALL, NEW, event), OUTCOME_RESUME);
    if (row->vector == 0 ? page->event.word != 0 : !raised_with(fixture, row->vector, error_code)) {
        fail_msg("row %zu: event 0x%x, error code 0x%x", number, page->event.word,
                 page->event.error_code);
    }
    assert_int_equal(page->rip, NEW_RIP);
    assert_int_equal(page->segment[SEGMENT_TR].selector, NEW);
    assert_int_equal(page->segment[row->index].selector, row->selector);
    assert_int_equal(access_of(fixture, NEW) & BUSY, BUSY);
    check_saved(true, event == EXTERNAL ? RIP : RIP + LENGTH, 0x8d7 | NT);
}

static void test_failures_in_the_new_task(void **state)
{
    static const uint32_t events[] = {0, SOFTWARE, EXTERNAL};

    for (size_t i = 0; i < ARRAY_COUNT(failures) * ARRAY_COUNT(events); i++) {
        check_failure(&failures[i / ARRAY_COUNT(events)], i / ARRAY_COUNT(events),
                      events[i % ARRAY_COUNT(events)]);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

// A segment that failed is not usable, and nor are those behind it: no stale rights are left.
static void test_failed_segments_are_unusable(void **state)
{
    (void)state;
    put_selector(SEGMENT_SS, BEYOND);
    assert_int_equal(switch_to(CALL, NEW, 0), OUTCOME_RESUME);
    check_segment(SEGMENT_CS, CODE, 0, UINT32_MAX, 0xc09b);
    for (unsigned i = SEGMENT_ES; i <= SEGMENT_GS; i++) {
        if (i != SEGMENT_CS) {
            assert_true((page->segment[i].access_rights & SEGMENT_UNUSABLE) != 0);
        }
    }
}

static void test_local_descriptor_tables(void **state)
{
    static const struct {
        uint16_t selector;
        uint8_t access, vector;
    } rows[] = {{BEYOND, 0, VECTOR_TASK},
                {LOCAL | 4, 0, VECTOR_TASK},
                {DATA, 0, VECTOR_TASK},
                {OTHER, LDT_TYPE & ~PRESENT, VECTOR_TASK},
                {3, 0, 0}};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        put_descriptor(fixture, GDT + OTHER, LDT, LDT_LIMIT, rows[i].access, 0);
        put(fixture, NEW_TSS + 0x60, rows[i].selector, 2);
        put_selector(SEGMENT_GS, 0);
        assert_int_equal(switch_to(CALL, NEW, 0), OUTCOME_RESUME);
        assert_true(rows[i].vector == 0
                        ? page->event.word == 0
                        : raised_with(fixture, rows[i].vector, rows[i].selector & ~3u));
        assert_true((page->segment[SEGMENT_LDTR].access_rights & SEGMENT_UNUSABLE) != 0);
        assert_int_equal(page->rip, NEW_RIP);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

static void test_ring_3(void **state)
{
    (void)state;
    put_selector(SEGMENT_CS, CODE_3 | 3);
    put_selector(SEGMENT_SS, DATA_3 | 3);
    put_selector(SEGMENT_DS, DATA_3);
    put_selector(SEGMENT_ES, 0);
    put_selector(SEGMENT_GS, 0);
    assert_int_equal(switch_to(JUMP, NEW, 0), OUTCOME_RESUME);
    assert_int_equal(page->event.word, 0);
    assert_int_equal(emulate_cpl(page), 3);
    (void)tear_down(state);
    (void)set_up(state);
    put_selector(SEGMENT_CS, CODE_3 | 3);
    put_selector(SEGMENT_SS, DATA_3 | 3);
    put_selector(SEGMENT_ES, 0);
    assert_int_equal(switch_to(JUMP, NEW, 0), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_TASK, DATA)); // DS of ring 0
}

static void test_instruction_pointer_beyond_the_segment(void **state)
{
    (void)state;
    put_descriptor(fixture, GDT + CODE, 0, NEW_RIP - 1, CODE_TYPE, 4);
    assert_int_equal(switch_to(GATE, NEW, EXTERNAL), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PROTECTION, 1));
    assert_int_equal(page->rip, NEW_RIP);
}

// The error code is pushed with the new task's privilege: this stack is the supervisor's.
static void test_page_fault_on_the_new_stack(void **state)
{
    (void)state;
    map_32(fixture);
    put(fixture, NEW_TSS + 0x1c, PAGE_TABLES, 4);
    set_page_32(fixture, STACK - 0x1000, PAGE_PRESENT);
    put_selector(SEGMENT_CS, CODE_3 | 3);
    put_selector(SEGMENT_SS, DATA_3 | 3);
    put_selector(SEGMENT_DS, 0);
    put_selector(SEGMENT_ES, 0);
    put_selector(SEGMENT_GS, 0);
    assert_int_equal(switch_to(GATE, NEW, FAULT), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PAGE, 7)); // present, write, user
    assert_int_equal(page->cr2, STACK - 4);
    assert_int_equal(page->gpr[GPR_RSP], STACK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_refused_in_the_old_task),
        TEST(test_page_faults_in_the_old_task),
        TEST(test_failures_in_the_new_task),
        TEST(test_failed_segments_are_unusable),
        TEST(test_local_descriptor_tables),
        TEST(test_ring_3),
        TEST(test_instruction_pointer_beyond_the_segment),
        TEST(test_page_fault_on_the_new_stack),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
