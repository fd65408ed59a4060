// SPDX-License-Identifier: MIT
// Hardware task switches, which the monitor does all by itself: every source with task-state
// segments of both sizes, busy bits, links, NT, error codes, virtual-8086 mode and paging.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "test/host/monitor/task_guest.h"

static void check_loaded(bool is_32, uint64_t flags)
{
    assert_int_equal(page->rip, NEW_RIP);
    assert_int_equal(page->rflags, flags);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(page->gpr[i], is_32 ? new_gpr(i) : 0xffff0000 | (new_gpr(i) & 0xffff));
    }
    check_segment(SEGMENT_CS, CODE, 0, UINT32_MAX, 0xc09b);
    check_segment(SEGMENT_SS, DATA, 0, UINT32_MAX, 0xc093);
    check_segment(SEGMENT_ES, DATA, 0, UINT32_MAX, 0xc093);
    check_segment(SEGMENT_LDTR, LOCAL, LDT, LDT_LIMIT, LDT_TYPE);
    check_segment(SEGMENT_TR, NEW, NEW_TSS, is_32 ? 0x67 : 0x2b, (is_32 ? TSS_32 : TSS_16) | BUSY);
    assert_true((page->segment[SEGMENT_FS].access_rights & SEGMENT_UNUSABLE) != 0);
    assert_int_equal(page->segment[SEGMENT_FS].selector, 0);
    if (is_32) {
        check_segment(SEGMENT_GS, IN_LDT, 0x100, 0xffff, 0x93);
        assert_int_equal(fixture->ram[LDT + (IN_LDT & ~7u) + 5], DATA_TYPE | 1); // accessed
    } else {
        assert_true((page->segment[SEGMENT_GS].access_rights & SEGMENT_UNUSABLE) != 0);
    }
    assert_int_equal(access_of(fixture, CODE), CODE_TYPE | 1);
    assert_true((page->cr0 & CR0_TS) != 0);
    assert_int_equal(page->dr7, 0x7ff & ~0x155);
    assert_int_equal(page->event.word, 0);
    assert_int_equal(page->dirty, SYSTEM_GROUPS | VCPU_GROUP_DEBUG);
}

// Each source, from and to a TSS of each size.
static void test_every_source_and_size(void **state)
{
    for (unsigned i = 0; i < SOURCES * 4; i++) {
        unsigned source = i / 4;
        bool from_32 = (i & 1) != 0, to_32 = (i & 2) != 0;
        bool nested = source == CALL || source == GATE;
        uint32_t event = source == GATE ? SOFTWARE : 0;

        be_old_task(from_32);
        put_new_task(to_32);
        prepare(source);
        assert_int_equal(switch_to(source, NEW, event), OUTCOME_RESUME);
        check_saved(from_32, RIP + LENGTH, source == IRET ? 0x8d7 : 0x8d7 | NT);
        check_loaded(to_32, nested ? NEW_FLAGS | NT : NEW_FLAGS);
        assert_int_equal(get(fixture, NEW_TSS, 2), nested ? OLD : 0);
        assert_int_equal(access_of(fixture, OLD) & BUSY, nested ? BUSY : 0);
        assert_int_equal(access_of(fixture, NEW) & BUSY, BUSY);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

// The old task goes on at the instruction that an interrupt or a fault came before, and behind one
// that called for the interrupt itself.
static void test_return_address_of_gates(void **state)
{
    static const struct {
        uint32_t event, rip;
    } rows[] = {{EXTERNAL, RIP}, {NMI, RIP}, {FAULT, RIP}, {SOFTWARE, RIP + LENGTH}};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        page->interruptibility = VCPU_BLOCKED_BY_STI;
        assert_int_equal(switch_to(GATE, NEW, rows[i].event), OUTCOME_RESUME);
        check_saved(true, rows[i].rip, 0x8d7 | NT);
        assert_int_equal(page->interruptibility, rows[i].event == NMI ? VCPU_BLOCKED_BY_NMI : 0);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

static void test_error_code_on_the_new_stack(void **state)
{
    (void)state;
    assert_int_equal(switch_to(GATE, NEW, FAULT), OUTCOME_RESUME);
    assert_int_equal(page->gpr[GPR_RSP], STACK - 4);
    assert_int_equal(get(fixture, STACK - 4, 4), 0xe770);
    (void)tear_down(state);
    (void)set_up(state);
    put_new_task(false);
    put_descriptor(fixture, GDT + DATA, 0, 0xffff, DATA_TYPE, 0); // a 16-bit stack
    put(fixture, STACK - 4, 0x55555555, 4);
    assert_int_equal(switch_to(GATE, NEW, FAULT), OUTCOME_RESUME);
    assert_int_equal(page->gpr[GPR_RSP], 0xffff0000 | (STACK - 2));
    assert_int_equal(get(fixture, STACK - 4, 4), 0xe7705555);
}

// An expand-down stack: what lies below its limit is outside.
static void test_error_code_that_does_not_fit(void **state)
{
    (void)state;
    put_descriptor(fixture, GDT + OTHER, 0, STACK >> 12, DATA_TYPE | 4, FLAT_FLAGS);
    put_selector(SEGMENT_SS, OTHER);
    assert_int_equal(switch_to(GATE, NEW, FAULT), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_STACK, 1)); // caused from outside
    assert_int_equal(page->rip, NEW_RIP);
    assert_int_equal(page->gpr[GPR_RSP], STACK);
    (void)tear_down(state);
    (void)set_up(state);
    put_descriptor(fixture, GDT + OTHER, 0, (STACK >> 12) - 2, DATA_TYPE | 4, FLAT_FLAGS);
    put_selector(SEGMENT_SS, OTHER);
    assert_int_equal(switch_to(GATE, NEW, FAULT), OUTCOME_RESUME);
    assert_int_equal(page->event.word, 0);
    assert_int_equal(get(fixture, STACK - 4, 4), 0xe770);
}

static void test_debug_trap_bit(void **state)
{
    (void)state;
    put(fixture, NEW_TSS + 0x64, 1, 2);
    assert_int_equal(switch_to(JUMP, NEW, 0), OUTCOME_RESUME);
    assert_true(fixture_raised(fixture, VECTOR_DEBUG, false));
    assert_int_equal(page->dr6 & 1u << 15, 1u << 15);
    assert_int_equal(page->rip, NEW_RIP);
}

// -- virtual-8086 mode and paging -----------------------------------------------------------------

static void test_virtual_8086(void **state)
{
    (void)state;
    put(fixture, NEW_TSS + 0x24, NEW_FLAGS | VM, 4);
    put_selector(SEGMENT_CS, 0x1234);
    assert_int_equal(switch_to(JUMP, NEW, 0), OUTCOME_RESUME);
    assert_int_equal(page->event.word, 0);
    check_segment(SEGMENT_CS, 0x1234, 0x12340, 0xffff, 0xf3);
    check_segment(SEGMENT_GS, IN_LDT, IN_LDT << 4, 0xffff, 0xf3);
    assert_int_equal(page->rflags, NEW_FLAGS | VM);
    (void)tear_down(state);
    (void)set_up(state);
    put(fixture, NEW_TSS + 0x24, NEW_FLAGS | VM, 4);
    put(fixture, NEW_TSS + 0x20, 0x10000, 4);
    assert_int_equal(switch_to(JUMP, NEW, 0), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PROTECTION, 0)); // beyond 64 KiB
}

// The segments are those of virtual-8086 mode even then: VM entry demands it.
static void test_virtual_8086_with_a_bad_table(void **state)
{
    (void)state;
    put(fixture, NEW_TSS + 0x24, NEW_FLAGS | VM, 4);
    put(fixture, NEW_TSS + 0x60, DATA, 2);
    assert_int_equal(switch_to(JUMP, NEW, 0), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_TASK, DATA));
    check_segment(SEGMENT_SS, DATA, DATA << 4, 0xffff, 0xf3);
}

// CR3 is a 32-bit task's own; what follows goes through the new page tables.
static void test_page_tables_of_the_new_task(void **state)
{
    uint64_t other = PAGE_TABLES + 0x8000;

    (void)state;
    map_32(fixture);
    memcpy(fixture->ram + other, fixture->ram + PAGE_TABLES, 0x1000);
    put(fixture, (uint32_t)other, (other + 0x1000) | PAGE_PRESENT | PAGE_USER, 4);
    memcpy(fixture->ram + other + 0x1000, fixture->ram + PAGE_TABLES + 0x1000, 0x1000);
    put(fixture, (uint32_t)other + 0x1000 + 4 * (LDT >> 12), 0x20000 | PAGE_PRESENT, 4);
    put_descriptor(fixture, 0x20000 + (IN_LDT & ~7u), 0x4200, 0xfff, DATA_TYPE, 0);
    put(fixture, NEW_TSS + 0x1c, other, 4);
    assert_int_equal(switch_to(CALL, NEW, 0), OUTCOME_RESUME);
    assert_int_equal(page->event.word, 0);
    assert_int_equal(page->cr3, other);
    check_segment(SEGMENT_GS, IN_LDT, 0x4200, 0xfff, 0x93);
    (void)tear_down(state);
    (void)set_up(state);
    map_32(fixture);
    put_new_task(false);
    assert_int_equal(switch_to(CALL, NEW, 0), OUTCOME_RESUME);
    assert_int_equal(page->cr3, PAGE_TABLES); // a 16-bit TSS has none
}

static void test_fetches_what_it_needs(void **state)
{
    (void)state;
    page->valid = VCPU_GROUP_RIP | VCPU_GROUP_CONTROL;
    assert_int_equal(switch_to(CALL, NEW, 0), OUTCOME_FETCH);
    assert_int_equal(fixture->machine.need,
                     VCPU_GROUP_SEGMENTS | VCPU_GROUP_TABLES | VCPU_GROUP_DEBUG);
    assert_int_equal(page->rip, RIP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_source_and_size),
        TEST(test_return_address_of_gates),
        TEST(test_error_code_on_the_new_stack),
        TEST(test_error_code_that_does_not_fit),
        TEST(test_debug_trap_bit),
        TEST(test_virtual_8086),
        TEST(test_virtual_8086_with_a_bad_table),
        TEST(test_page_tables_of_the_new_task),
        TEST(test_fetches_what_it_needs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
