// SPDX-License-Identifier: MIT
// The exit handlers on a real platform: what each changes, raises, and leaves alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "test/host/monitor/machine_fixture.h"

static void test_every_kind_has_a_row(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < EXIT_KIND_COUNT; kind++) {
        assert_non_null(exit_table[kind].name);
        assert_non_null(exit_table[kind].handle);
        for (unsigned other = 0; other < kind; other++) {
            assert_string_not_equal(exit_table[kind].name, exit_table[other].name);
        }
    }
    assert_string_equal(exit_kind_name(EXIT_KIND_COUNT), "out of range");
}

static enum outcome port(struct fixture *fixture, uint16_t number, uint8_t size, bool in)
{
    memset(&fixture->page.exit, 0, sizeof(fixture->page.exit));
    fixture->page.exit.pio.port = number;
    fixture->page.exit.pio.size = size;
    fixture->page.exit.pio.in = in;
    return fixture_handle(fixture, EXIT_PIO);
}

static void test_port_widths(void **state)
{
    struct fixture *fixture = fixture_new();
    static const uint64_t expected[5] = {0, 0x11223344556677ff, 0x112233445566ffff, 0,
                                         0x00000000ffffffff};

    (void)state;
    for (uint8_t size = 1; size <= 4; size *= 2) {
        fixture->page.gpr[GPR_RAX] = 0x1122334455667788;
        assert_int_equal(port(fixture, 0x5555, size, true), OUTCOME_ADVANCE);
        assert_int_equal(fixture->page.gpr[GPR_RAX], expected[size]);
    }
    free(fixture);
}

static void test_port_output_and_ends(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture->page.exit_tsc = 5000;
    fixture->page.gpr[GPR_RAX] = 'A';
    assert_int_equal(port(fixture, 0xe9, 1, false), OUTCOME_ADVANCE);
    assert_int_equal(port(fixture, 0x3f8, 1, false), OUTCOME_ADVANCE);
    assert_int_equal(fixture->link.output.header.length, 2);
    assert_memory_equal(fixture->link.output.payload, "AA", 2);
    assert_int_equal(fixture->link.flush_at, 5000 + FIXTURE_HZ / 1000);
    fixture->page.gpr[GPR_RAX] = 38;
    assert_int_equal(port(fixture, 0xf4, 4, false), OUTCOME_STOP);
    assert_int_equal(fixture->machine.stop.reason, END_TEST_EXIT);
    assert_int_equal(fixture->machine.stop.status, 77);
    free(fixture);
}

static void test_power_off_and_reset(void **state)
{
    struct fixture *fixture = fixture_new();
    static const char word[] = "Shutdown";

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        fixture->page.gpr[GPR_RAX] = (uint8_t)word[i];
        assert_int_equal(port(fixture, 0x8900, 1, false), i == 7 ? OUTCOME_STOP : OUTCOME_ADVANCE);
    }
    assert_int_equal(fixture->machine.stop.reason, END_POWER_OFF);
    assert_int_equal(fixture->machine.stop.status, 0);
    free(fixture);
    fixture = fixture_new();
    fixture->page.gpr[GPR_RAX] = 0xfe;
    assert_int_equal(port(fixture, 0x64, 1, false), OUTCOME_STOP);
    assert_int_equal(fixture->machine.stop.reason, END_RESET);
    free(fixture);
}

static void test_memory_hole(void **state)
{
    struct fixture *fixture = fixture_new();
    static const uint8_t load[] = {0xa1, 0x00, 0x00, 0x00, 0xd0}; // mov eax, [0xd0000000]

    (void)state;
    memcpy(fixture->ram + 0x1000, load, sizeof(load));
    fixture->page.exit.memory.gpa = 0xd0000000;
    fixture->page.exit.memory.read = 1;
    fixture->page.valid &= ~(uint32_t)VCPU_GROUP_SEGMENTS;
    assert_int_equal(fixture_handle(fixture, EXIT_MEMORY), OUTCOME_FETCH);
    assert_int_equal(fixture->machine.need, VCPU_GROUP_SEGMENTS);
    fixture->page.valid |= VCPU_GROUP_SEGMENTS;
    assert_int_equal(fixture_handle(fixture, EXIT_MEMORY), OUTCOME_RESUME);
    assert_int_equal(fixture->page.gpr[GPR_RAX], 0xffffffff);
    assert_int_equal(fixture->page.rip, 0x1005);
    free(fixture);
}

static void test_memory_stops(void **state)
{
    struct fixture *fixture = fixture_new();
    static const uint8_t strange[] = {0x0f, 0xff, 0xc0};

    (void)state;
    fixture->page.exit.memory.fetch = 1;
    assert_int_equal(fixture_handle(fixture, EXIT_MEMORY), OUTCOME_STOP);
    assert_int_equal(fixture->machine.stop.status, RUN_UNHANDLED);
    fixture->page.exit.memory.fetch = 0;
    fixture->page.exit.memory.in_page_walk = 1;
    assert_int_equal(fixture_handle(fixture, EXIT_MEMORY), OUTCOME_STOP);
    fixture->page.exit.memory.in_page_walk = 0;
    fixture->page.event.word = VCPU_EVENT_VALID;
    assert_int_equal(exit_table[EXIT_MEMORY].handle(&fixture->machine), OUTCOME_STOP);
    memcpy(fixture->ram + 0x1000, strange, sizeof(strange));
    (void)fixture_handle(fixture, EXIT_MEMORY);
    assert_int_equal(fixture->page.rip, 0x1000);
    free(fixture);
}

static void test_interrupts(void **state)
{
    struct fixture *fixture = fixture_new();
    static const struct {
        uint16_t port;
        uint8_t value;
    } setup[] = {{0x20, 0x11}, {0x21, 0x20}, {0x21, 4},    {0x21, 1},
                 {0x21, 0xfe}, {0x43, 0x34}, {0x40, 0xa9}, {0x40, 4}}; // IRQ 0 at 1 kHz

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(setup); i++) {
        platform_port_write(&fixture->platform, setup[i].port, 1, setup[i].value);
    }
    event_deliver_interrupt(&fixture->machine);
    assert_int_equal(fixture->page.request_window, 0);
    platform_set_time(&fixture->platform, 2000000);
    platform_run_timers(&fixture->platform);
    fixture->page.halted = 1;
    event_deliver_interrupt(&fixture->machine); // IF is clear
    assert_int_equal(fixture->page.request_window, 1);
    assert_int_equal(fixture->page.halted, 1);
    assert_int_equal(fixture->page.event.word, 0);
    fixture->page.rflags |= RFLAGS_IF;
    fixture->page.interruptibility = VCPU_BLOCKED_BY_STI;
    event_deliver_interrupt(&fixture->machine);
    assert_int_equal(fixture->page.event.word, 0);
    fixture->page.interruptibility = 0;
    fixture->page.event.word = VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | 13;
    event_deliver_interrupt(&fixture->machine);
    assert_int_equal(fixture->page.event.word, VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | 13);
    fixture->page.event.word = 0;
    event_deliver_interrupt(&fixture->machine);
    assert_int_equal(fixture->page.event.word, VCPU_EVENT_VALID | VCPU_EVENT_EXTERNAL | 0x20);
    assert_int_equal(fixture->page.halted, 0);
    assert_int_equal(fixture->page.request_window, 0);
    free(fixture);
}

static void test_halt_and_skips(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    fixture->page.rflags |= RFLAGS_IF; // else it would halt for ever
    assert_int_equal(fixture_handle(fixture, EXIT_HLT), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.halted, 1);
    assert_int_equal(fixture_handle(fixture, EXIT_WBINVD), OUTCOME_ADVANCE);
    fixture->page.gpr[GPR_RAX] = 0;
    assert_int_equal(fixture_handle(fixture, EXIT_VMCALL), OUTCOME_ADVANCE);
    fixture->page.gpr[GPR_RAX] = 1;
    assert_int_equal(fixture_handle(fixture, EXIT_VMCALL), OUTCOME_RESUME);
    assert_true(fixture_raised(fixture, VECTOR_UNDEFINED, false));
    fixture->machine.apic = &fixture->platform.processor[0].apic;
    assert_int_equal(fixture_handle(fixture, EXIT_VMCALL), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.gpr[GPR_RAX], (uint64_t)-1000);
    fixture->machine.apic = NULL;
    assert_int_equal(fixture_handle(fixture, EXIT_RDPMC), OUTCOME_RESUME);
    assert_true(fixture_raised(fixture, VECTOR_PROTECTION, true));
    fixture->page.exit_tsc = 0x100000005;
    fixture->page.tsc_offset = 1;
    fixture->page.exit.instruction_length = 2;
    assert_int_equal(fixture_handle(fixture, EXIT_RDTSC), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.gpr[GPR_RAX], 6);
    assert_int_equal(fixture->page.gpr[GPR_RDX], 1);
    free(fixture);
}

static void test_stops(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    assert_int_equal(fixture_handle(fixture, EXIT_TRIPLE_FAULT), OUTCOME_STOP);
    assert_int_equal(fixture->machine.stop.status, RUN_TRIPLE_FAULT);
    assert_true(fixture->machine.stop.report);
    assert_int_equal(fixture_handle(fixture, EXIT_ENTRY_REFUSED), OUTCOME_STOP);
    assert_int_equal(fixture->machine.stop.status, RUN_ENTRY_REFUSED);
    assert_int_equal(fixture_handle(fixture, EXIT_MISCONFIGURATION), OUTCOME_STOP);
    assert_int_equal(fixture->machine.stop.status, RUN_UNHANDLED);
    fixture->page.exit.hardware_reason = 0x37;
    assert_int_equal(fixture_handle(fixture, EXIT_UNKNOWN), OUTCOME_STOP);
    assert_non_null(strstr(fixture->machine.stop.why, "0x37"));
    free(fixture);
}

static enum outcome move_to_cr(struct fixture *fixture, uint8_t number, uint64_t value)
{
    fixture->page.exit.cr.number = number;
    fixture->page.exit.cr.access = CR_ACCESS_WRITE;
    fixture->page.exit.cr.gpr = GPR_R9;
    fixture->page.gpr[GPR_R9] = value;
    return fixture_handle(fixture, EXIT_CR);
}

static void test_cr0(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    assert_int_equal(move_to_cr(fixture, 0, CR0_PG), OUTCOME_RESUME); // without PE
    assert_true(fixture_raised(fixture, VECTOR_PROTECTION, true));
    assert_int_equal(move_to_cr(fixture, 0, CR0_PE | CR0_NW), OUTCOME_RESUME); // without CD
    fixture->page.efer = EFER_LME;
    assert_int_equal(move_to_cr(fixture, 0, CR0_PE | CR0_PG), OUTCOME_RESUME); // without PAE
    assert_int_equal(fixture->page.cr0, CR0_PE | CR0_ET);
    fixture->page.cr4 = CR4_PAE;
    assert_int_equal(move_to_cr(fixture, 0, CR0_PE | CR0_PG | CR0_TS), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.cr0, CR0_PE | CR0_PG | CR0_TS | CR0_ET);
    assert_int_equal(fixture->page.efer, EFER_LME | EFER_LMA);
    assert_int_equal(fixture->page.dirty, VCPU_GROUP_CONTROL);
    fixture->page.exit.cr.access = CR_ACCESS_CLTS;
    assert_int_equal(fixture_handle(fixture, EXIT_CR), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.cr0, CR0_PE | CR0_PG | CR0_ET);
    assert_int_equal(move_to_cr(fixture, 0, CR0_PE), OUTCOME_ADVANCE); // from 32-bit code
    assert_int_equal(fixture->page.efer, EFER_LME);
    fixture_long_mode(fixture);
    assert_int_equal(move_to_cr(fixture, 0, CR0_PE), OUTCOME_RESUME); // from 64-bit code
    assert_int_equal(move_to_cr(fixture, 0, 1ull << 32 | CR0_PG | CR0_PE), OUTCOME_RESUME);
    assert_int_equal(fixture->page.efer, EFER_LME | EFER_LMA);
    fixture->page.exit.cr.access = CR_ACCESS_LMSW;
    fixture->page.exit.cr.lmsw_source = 0xfff8;
    assert_int_equal(fixture_handle(fixture, EXIT_CR), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.cr0, CR0_PE | CR0_PG | CR0_TS | CR0_ET);
    free(fixture);
}

static void test_cr3_cr4_cr8(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    assert_int_equal(move_to_cr(fixture, 4, 1ull << 13), OUTCOME_RESUME); // VMXE
    assert_true(fixture_raised(fixture, VECTOR_PROTECTION, true));
    assert_int_equal(move_to_cr(fixture, 4, CR4_PCIDE), OUTCOME_RESUME); // not in long mode
    assert_int_equal(move_to_cr(fixture, 4, CR4_PAE | CR4_PGE), OUTCOME_ADVANCE);
    fixture_long_mode(fixture);
    assert_int_equal(move_to_cr(fixture, 4, CR4_PGE), OUTCOME_RESUME); // PAE is needed
    fixture->page.cr3 = 0x1001;
    assert_int_equal(move_to_cr(fixture, 4, CR4_PAE | CR4_PCIDE), OUTCOME_RESUME);
    fixture->page.cr3 = 0x1000;
    assert_int_equal(move_to_cr(fixture, 4, CR4_PAE | CR4_PCIDE), OUTCOME_ADVANCE);
    assert_int_equal(move_to_cr(fixture, 3, 1ull << 40), OUTCOME_RESUME);
    assert_int_equal(move_to_cr(fixture, 3, 1ull << 63 | 0x2001), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.cr3, 0x2001);
    assert_int_equal(move_to_cr(fixture, 8, 16), OUTCOME_RESUME);
    assert_int_equal(move_to_cr(fixture, 8, 9), OUTCOME_ADVANCE);
    fixture->page.exit.cr.access = CR_ACCESS_READ;
    fixture->page.exit.cr.gpr = GPR_RSP;
    assert_int_equal(fixture_handle(fixture, EXIT_CR), OUTCOME_ADVANCE);
    assert_int_equal(fixture->page.gpr[GPR_RSP], 9);
    assert_int_equal(fixture->page.dirty, VCPU_GROUP_RIP);
    assert_int_equal(move_to_cr(fixture, 5, 0), OUTCOME_RESUME);
    assert_true(fixture_raised(fixture, VECTOR_UNDEFINED, false));
    free(fixture);
}

// PAE paging: a MOV that would load an entry with reserved bits is refused.
static void test_entries_of_pae_paging(void **state)
{
    static const uint64_t reserved[] = {2, 0x20, 0x100, 1ull << 40, 1ull << 63};
    struct fixture *fixture = fixture_new();
    uint64_t entry = 0x5001;

    (void)state;
    fixture->page.cr3 = 0x4fe0; // the table is 32 bytes, aligned to as many
    memcpy(fixture->ram + 0x4fe8, &entry, 8);
    assert_int_equal(move_to_cr(fixture, 4, CR4_PAE), OUTCOME_ADVANCE);
    assert_int_equal(move_to_cr(fixture, 0, CR0_PE | CR0_PG), OUTCOME_ADVANCE);
    assert_int_equal(move_to_cr(fixture, 3, 0x4fe0 | 0x18), OUTCOME_ADVANCE);
    for (unsigned i = 0; i < ARRAY_COUNT(reserved); i++) {
        entry = 0x5001 | reserved[i];
        memcpy(fixture->ram + 0x4fe8, &entry, 8);
        assert_int_equal(move_to_cr(fixture, 3, 0x4fe0), OUTCOME_RESUME);
        assert_true(fixture_raised(fixture, VECTOR_PROTECTION, true));
        assert_int_equal(move_to_cr(fixture, 4, CR4_PAE | CR4_PGE), OUTCOME_RESUME);
        assert_int_equal(move_to_cr(fixture, 0, CR0_PE | CR0_PG | CR0_CD), OUTCOME_RESUME);
        assert_int_equal(move_to_cr(fixture, 4, 0), OUTCOME_ADVANCE); // 32-bit paging has none
        assert_int_equal(move_to_cr(fixture, 4, CR4_PAE), OUTCOME_RESUME);
        entry &= ~1ull; // not present
        memcpy(fixture->ram + 0x4fe8, &entry, 8);
        assert_int_equal(move_to_cr(fixture, 4, CR4_PAE), OUTCOME_ADVANCE);
    }
    assert_int_equal(move_to_cr(fixture, 3, 0xd0000000), OUTCOME_RESUME); // no memory there
    assert_int_equal(fixture->page.cr3, 0x4ff8);
    free(fixture);
}

static void test_debug_registers(void **state)
{
    struct fixture *fixture = fixture_new();
    struct vcpu_page *page = &fixture->page;

    (void)state;
    page->gpr[GPR_RBX] = 0x12345678;
    page->exit.dr.number = 2;
    page->exit.dr.gpr = GPR_RBX;
    assert_int_equal(fixture_handle(fixture, EXIT_DR), OUTCOME_ADVANCE);
    assert_int_equal(page->dr[2], 0x12345678);
    page->exit.dr.number = 5; // DR7 without CR4.DE
    page->gpr[GPR_RBX] = 1;
    assert_int_equal(fixture_handle(fixture, EXIT_DR), OUTCOME_ADVANCE);
    assert_int_equal(page->dr7, 0x401);
    page->cr4 |= CR4_DE;
    assert_int_equal(fixture_handle(fixture, EXIT_DR), OUTCOME_RESUME);
    assert_true(fixture_raised(fixture, VECTOR_UNDEFINED, false));
    page->exit.dr.number = 6;
    page->gpr[GPR_RBX] = 1ull << 32;
    assert_int_equal(fixture_handle(fixture, EXIT_DR), OUTCOME_RESUME);
    assert_true(fixture_raised(fixture, VECTOR_PROTECTION, true));
    page->gpr[GPR_RBX] = 0;
    assert_int_equal(fixture_handle(fixture, EXIT_DR), OUTCOME_ADVANCE);
    page->exit.dr.read = 1;
    assert_int_equal(fixture_handle(fixture, EXIT_DR), OUTCOME_ADVANCE);
    assert_int_equal(page->gpr[GPR_RBX], 0xffff0ff0);
    free(fixture);
}

static void test_xsetbv(void **state)
{
    struct fixture *fixture = fixture_new();
    static const struct {
        uint64_t ecx, value;
        bool allowed;
    } cases[] = {
        {0, 1, true},  {0, 3, true},     {0, 7, true},
        {0, 0, false}, {0, 5, false},    {0, 2, false},
        {1, 1, false}, {0, 0xe7, false}, {0, 1ull << 63 | 1, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        fixture->page.xcr0 = 1;
        fixture->page.dirty = 0;
        fixture->page.gpr[GPR_RCX] = cases[i].ecx;
        fixture->page.gpr[GPR_RAX] = (uint32_t)cases[i].value;
        fixture->page.gpr[GPR_RDX] = cases[i].value >> 32;
        assert_int_equal(fixture_handle(fixture, EXIT_XSETBV),
                         cases[i].allowed ? OUTCOME_ADVANCE : OUTCOME_RESUME);
        assert_int_equal(fixture->page.xcr0, cases[i].allowed ? cases[i].value : 1);
        assert_int_equal(fixture->page.dirty, cases[i].allowed ? VCPU_GROUP_XCR0 : VCPU_GROUP_RIP);
    }
    free(fixture);
}

static void test_single_step(void **state)
{
    struct fixture *fixture = fixture_new();

    (void)state;
    event_raise_step(&fixture->machine);
    assert_true(fixture_raised(fixture, VECTOR_DEBUG, false));
    assert_int_equal(fixture->page.dr6, 1u << 14);
    assert_int_equal(fixture->page.dirty, VCPU_GROUP_DEBUG);
    free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_has_a_row),
        cmocka_unit_test(test_port_widths),
        cmocka_unit_test(test_port_output_and_ends),
        cmocka_unit_test(test_power_off_and_reset),
        cmocka_unit_test(test_memory_hole),
        cmocka_unit_test(test_memory_stops),
        cmocka_unit_test(test_interrupts),
        cmocka_unit_test(test_halt_and_skips),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_cr0),
        cmocka_unit_test(test_cr3_cr4_cr8),
        cmocka_unit_test(test_entries_of_pae_paging),
        cmocka_unit_test(test_debug_registers),
        cmocka_unit_test(test_xsetbv),
        cmocka_unit_test(test_single_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
