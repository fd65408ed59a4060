// SPDX-License-Identifier: MIT
// Exceptions that are intercepted and sent on, the watchdog, and the report about a dead guest.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "test/host/monitor/machine_fixture.h"
#include "vmm/monitor/guest_walk.h"
#include "vmm/monitor/post_mortem.h"
#include "vmm/monitor/watchdog.h"

#define HARDWARE (VCPU_EVENT_VALID | (uint32_t)VCPU_EVENT_EXCEPTION)

// "Interrupt and Exception Classes", by vector: b benign, c contributory, p page fault, d double
// fault.
static const char classes[] = "cbbbbbbbdbccccpbbbbbpcbbbbbbbbbb";

static enum exception_result expected(char first, char second)
{
    if (first == 'd') {
        return second == 'c' || second == 'p' ? EXCEPTION_SHUTDOWN : EXCEPTION_DELIVERED;
    }
    if (first == 'c') {
        return second == 'c' ? EXCEPTION_DOUBLE_FAULT : EXCEPTION_DELIVERED;
    }
    if (first == 'p') {
        return second == 'c' || second == 'p' ? EXCEPTION_DOUBLE_FAULT : EXCEPTION_DELIVERED;
    }
    return EXCEPTION_DELIVERED;
}

static void test_every_pair(void **state)
{
    (void)state;
    assert_int_equal(strlen(classes), 32);
    for (uint32_t first = 0; first < 32; first++) {
        for (uint32_t second = 0; second < 32; second++) {
            assert_int_equal(exception_compose(HARDWARE | first, HARDWARE | second),
                             expected(classes[first], classes[second]));
            // INT n and external interrupts are benign whatever their vector.
            assert_int_equal(exception_compose(VCPU_EVENT_VALID |
                                                   (uint32_t)VCPU_EVENT_SOFTWARE_INTERRUPT | first,
                                               HARDWARE | second),
                             EXCEPTION_DELIVERED);
            assert_int_equal(exception_compose(VCPU_EVENT_VALID | first, HARDWARE | second),
                             EXCEPTION_DELIVERED);
        }
        assert_int_equal(exception_compose(0, HARDWARE | first), EXCEPTION_DELIVERED);
        assert_int_equal(exception_compose(first | VCPU_EVENT_EXCEPTION, HARDWARE | 13),
                         EXCEPTION_DELIVERED); // not valid
    }
}

// The guest's exception `word` while `during` is delivered.
static enum outcome exception(struct fixture *fixture, uint32_t word, uint32_t error_code,
                              uint64_t address, uint32_t during)
{
    struct vcpu_page *page = &fixture->page;

    page->exception_bitmap = UINT32_MAX;
    page->exit = (struct vm_exit){.kind = EXIT_EXCEPTION, .instruction_length = 1};
    page->exit.exception.word = word;
    page->exit.exception.error_code = error_code;
    page->exit.exception.address = address;
    page->dirty = 0;
    page->event = (struct vcpu_event){.word = during};
    return exit_table[EXIT_EXCEPTION].handle(&fixture->machine);
}

static void test_double_and_triple_fault(void **state)
{
    struct fixture *fixture = fixture_new();
    uint32_t protection = HARDWARE | VCPU_EVENT_ERROR_CODE | 13;

    (void)state;
    assert_int_equal(exception(fixture, protection, 0x50, 0, HARDWARE | 10), OUTCOME_RESUME);
    assert_int_equal(fixture->page.event.word, HARDWARE | VCPU_EVENT_ERROR_CODE | 8);
    assert_int_equal(fixture->page.event.error_code, 0);
    assert_int_equal(exception(fixture, protection, 0x43, 0, fixture->page.event.word),
                     OUTCOME_STOP);
    assert_int_equal(fixture->machine.stop.reason, END_TRIPLE_FAULT);
    assert_int_equal(fixture->machine.stop.status, RUN_TRIPLE_FAULT);
    assert_int_equal(fixture->machine.exceptions.note[1].result, EXCEPTION_SHUTDOWN);
    free(fixture);
}

static void test_nmi_that_faulted_blocks(void **state)
{
    struct fixture *fixture = fixture_new();
    uint32_t nmi = VCPU_EVENT_VALID | (uint32_t)VCPU_EVENT_NMI | 2;

    (void)state;
    assert_int_equal(exception(fixture, HARDWARE | VCPU_EVENT_ERROR_CODE | 14, 0, 0, nmi),
                     OUTCOME_RESUME);
    assert_int_equal(fixture->page.interruptibility, VCPU_BLOCKED_BY_NMI);
    assert_int_equal(fixture->page.dirty, VCPU_GROUP_RIP);
    free(fixture);
}

static void test_halt_for_ever(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture->page.rflags = 0x202;
    assert_int_equal(fixture_handle(fixture, EXIT_HLT), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.halted, 1);
    fixture->page.rflags = 2;
    assert_int_equal(fixture_handle(fixture, EXIT_HLT), OUTCOME_STOP);
    assert_int_equal(fixture->machine.stop.reason, END_HALTED);
    assert_int_equal(fixture->machine.stop.status, RUN_HALTED);
    free(fixture);
}

// -- the watchdog -----------------------------------------------------------------------------

static bool spins(struct watchdog_spin *spin, struct vcpu_page *page, unsigned samples)
{
    for (unsigned i = 0; i < samples; i++) {
        page->rip = 0x1000 + i % WATCHDOG_ADDRESSES;
        if (watchdog_sample(spin, page)) {
            return true;
        }
    }
    return false;
}

static void test_watchdog(void **state)
{
    static struct vcpu_page page = {.rflags = 2};
    struct watchdog_spin spin = {0};

    (void)state;
    assert_false(spins(&spin, &page, WATCHDOG_SAMPLES - 1));
    page.rflags = 0x202; // interrupts on: progress
    assert_false(spins(&spin, &page, 1));
    page.rflags = 2;
    assert_false(spins(&spin, &page, WATCHDOG_SAMPLES - 1));
    page.rip = 0x2000; // one address too many
    assert_false(watchdog_sample(&spin, &page));
    assert_true(spins(&spin, &page, WATCHDOG_SAMPLES));
    assert_int_equal(spin.addresses, WATCHDOG_ADDRESSES);
    assert_int_equal(spin.seen[0], WATCHDOG_SAMPLES / WATCHDOG_ADDRESSES);
    assert_false(spins(&spin, &page, 100)); // told once
    page.halted = 1;
    assert_false(spins(&spin, &page, 1));
    page.halted = 0;
    assert_true(spins(&spin, &page, WATCHDOG_SAMPLES));
}

static void test_watchdog_timer(void **state)
{
    struct fixture *fixture = fixture_new();
    struct clock *clock = &fixture->platform.clock;
    struct watchdog watchdog;

    (void)state;
    assert_int_equal(watchdog_start(&watchdog, clock, 0), STATUS_OK);
    platform_set_time(&fixture->platform, 100 * FIXTURE_HZ);
    platform_run_timers(&fixture->platform);
    assert_false(watchdog.due);
    assert_int_equal(watchdog_start(&watchdog, clock, 1600), STATUS_OK);
    for (unsigned i = 0; i < 3; i++) { // every hundredth second from now
        platform_set_time(&fixture->platform, (100 + 100 * i) * FIXTURE_HZ);
        platform_run_timers(&fixture->platform);
        assert_true(watchdog.due);
        watchdog.due = false;
        platform_set_time(&fixture->platform, (199 + 100 * i) * FIXTURE_HZ);
        platform_run_timers(&fixture->platform);
        assert_false(watchdog.due);
    }
    free(fixture);
}

// -- the report -------------------------------------------------------------------------------

static char lines[16384];

static void keep_line(void *context, const char *line)
{
    size_t used = strlen(lines);

    (void)context;
    snprintf(lines + used, sizeof(lines) - used, "%s\n", line);
}

static void put_entry(struct fixture *fixture, uint64_t place, uint64_t entry)
{
    memcpy(fixture->ram + place, &entry, sizeof(entry));
}

static void expect_line(const char *text)
{
    if (!strstr(lines, text)) {
        fail_msg("no \"%s\" in:\n%s", text, lines);
    }
}

static void test_report(void **state)
{
    struct fixture *fixture = fixture_new();
    struct vcpu_page *page = &fixture->page;
    struct exit_trail trail;

    (void)state;
    fixture_long_mode(fixture);
    fixture->machine.log = keep_line;
    page->cr3 = 0x10000;
    put_entry(fixture, 0x10000, 0x11003); // identity, 2 MiB pages
    put_entry(fixture, 0x11000, 0x12003);
    put_entry(fixture, 0x12000, 0x83);
    put_entry(fixture, 0x12008, 0x7000000000000080 | 1ull << 62); // not present
    memcpy(fixture->ram + 0x1000, "\x0f\x0b\xf4", 3);
    exit_trail_start(&trail);
    for (unsigned i = 0; i < EXIT_TRAIL + 2; i++) {
        page->rip = 0x3000 + i;
        page->exit.pio.port = 0x3f8;
        page->exit.pio.size = 1;
        exit_trail_add(&trail, page, EXIT_PIO);
    }
    page->rip = 0x1000;
    (void)exception(fixture, HARDWARE | VCPU_EVENT_ERROR_CODE | 14, 2, 0x200123, HARDWARE | 6);
    post_mortem(&fixture->machine, &trail, 2, "test");
    expect_line("| ---- test: vCPU 2 ----\n");
    assert_null(strstr(lines, "rip 0x0000000000003001 "));
    expect_line("|   rip 0x0000000000003002 pio: out port 0x3f8, 1 bytes\n");
    expect_line("|   rip 0x0000000000001000 #PF(0x2) address 0x0000000000200123 during the "
                "delivery of #UD\n");
    expect_line("| page walk of rip 0x0000000000001000:\n"
                "|   level 4 entry at 0x10000: 0x0000000000011003 present writable\n"
                "|   level 3 entry at 0x11000: 0x0000000000012003 present writable\n"
                "|   level 2 entry at 0x12000: 0x0000000000000083 present writable large\n"
                "|   guest-physical 0x1000, page of 2048 KiB\n");
    expect_line("| page walk of fault address 0x0000000000200123:\n");
    expect_line("|   level 2 entry at 0x12008: 0x7000000000000080 large\n|   not present\n");
    expect_line("| code at 0x0000000000001000, 64-bit: 0f 0b f4 00");
    assert_int_equal(fixture->ram[0x12000], 0x83); // no accessed bit was set
    free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair),
        cmocka_unit_test(test_double_and_triple_fault),
        cmocka_unit_test(test_nmi_that_faulted_blocks),
        cmocka_unit_test(test_halt_for_ever),
        cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_watchdog_timer),
        cmocka_unit_test(test_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
