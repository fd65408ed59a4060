// SPDX-License-Identifier: MIT
// What reaches a processor with a local APIC: start-up signals, interrupts by injection, and
// interrupts that the processor takes out of its virtual-APIC page.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "test/host/monitor/machine_fixture.h"

// Makes the fixture's processor that of a machine with local APICs, `index` of its bus.
static void give_apic(struct fixture *fixture, struct apic_bus *bus, struct local_apic *apic,
                      uint32_t index)
{
    const struct local_apic_wiring wiring = {bus, &fixture->platform.clock, index, 1, 40};

    apic_bus_init(bus);
    local_apic_init(apic, &wiring);
    fixture->machine.apic = apic;
}

static void test_start_up_signals(void **state)
{
    struct fixture *fixture = fixture_new();
    struct machine *machine = &fixture->machine;
    static struct vcpu_page reset = {.rip = 0xfff0, .rflags = 2, .cr0 = 0x60000010};
    struct apic_bus bus;
    struct local_apic apic;

    (void)state;
    give_apic(fixture, &bus, &apic, 1);
    machine->reset = &reset;
    apic.startup_page = 0x12;
    apic.attention = APIC_ATTENTION_SIPI; // not waiting: ignored
    event_take_start_up(machine);
    assert_int_equal(fixture->page.rip, 0x1000);
    assert_int_equal(apic.attention, 0);
    apic.tpr = 0x20;
    apic.attention = APIC_ATTENTION_INIT;
    event_take_start_up(machine);
    assert_true(machine->waiting);
    assert_int_equal(fixture->page.halted, 1);
    assert_int_equal(fixture->page.rip, 0xfff0);
    assert_int_equal(fixture->page.cr0, 0x60000010);
    assert_int_equal(apic.tpr, 0);
    apic.attention = APIC_ATTENTION_NMI;
    event_deliver_to_processor(machine); // nothing reaches it now
    assert_int_equal(fixture->page.event.word, 0);
    apic.attention = APIC_ATTENTION_SIPI;
    event_take_start_up(machine);
    assert_false(machine->waiting);
    assert_int_equal(fixture->page.halted, 0);
    assert_int_equal(fixture->page.segment[SEGMENT_CS].base, 0x12000);
    assert_int_equal(fixture->page.segment[SEGMENT_CS].selector, 0x1200);
    assert_int_equal(fixture->page.rip, 0);
    free(fixture);
}

static void test_local_apic_delivery(void **state)
{
    struct fixture *fixture = fixture_new();
    struct machine *machine = &fixture->machine;
    struct vcpu_page *page = &fixture->page;
    struct apic_bus bus;
    struct local_apic apic;

    (void)state;
    give_apic(fixture, &bus, &apic, 0);
    local_apic_accept(&apic, 0x41, false);
    page->halted = 1;
    page->event.word = 0;
    event_deliver_to_processor(machine); // interrupts are off
    assert_int_equal(page->event.word, 0);
    assert_int_equal(page->halted, 1);
    assert_int_equal(page->request_window, 1);
    apic.attention |= APIC_ATTENTION_NMI;
    event_deliver_to_processor(machine);
    assert_int_equal(page->event.word, VCPU_EVENT_VALID | VCPU_EVENT_NMI | 2);
    assert_int_equal(page->halted, 0);
    page->event.word = 0;
    page->rflags |= RFLAGS_IF;
    page->interruptibility = VCPU_BLOCKED_BY_NMI;
    apic.attention |= APIC_ATTENTION_NMI;
    event_deliver_to_processor(machine);
    assert_int_equal(page->event.word, VCPU_EVENT_VALID | VCPU_EVENT_EXTERNAL | 0x41);
    assert_int_equal(page->request_nmi_window, 1);
    assert_int_equal(page->request_window, 0);
    fixture->page.gpr[GPR_RCX] = 0x80b; // not in x2APIC mode
    assert_int_equal(fixture_handle(fixture, EXIT_WRMSR), OUTCOME_RESUME);
    assert_true(fixture_raised(fixture, VECTOR_PROTECTION, true));
    apic.base |= APIC_BASE_X2APIC;
    fixture->page.gpr[GPR_RAX] = fixture->page.gpr[GPR_RDX] = 0;
    assert_int_equal(fixture_handle(fixture, EXIT_WRMSR), OUTCOME_ADVANCE);
    assert_int_equal(vector_set_highest(&apic.isr), 0);
    free(fixture);
}

// Blocking by NMI counts from an injection to the window after its IRET. At other times it is what
// Bochs leaves of another guest's, and holds up nothing.
static void test_nmi_blocking(void **state)
{
    struct fixture *fixture = fixture_new();
    struct machine *machine = &fixture->machine;
    struct vcpu_page *page = machine->page;
    struct apic_bus bus;
    struct local_apic apic;
    const uint32_t nmi = VCPU_EVENT_VALID | VCPU_EVENT_NMI | VECTOR_NMI;

    (void)state;
    give_apic(fixture, &bus, &apic, 0);
    page->interruptibility = VCPU_BLOCKED_BY_NMI; // another guest's
    apic.attention |= APIC_ATTENTION_NMI;
    page->dirty = 0;
    event_deliver_to_processor(machine);
    assert_int_equal(page->event.word, nmi);
    assert_int_equal(page->interruptibility, 0);
    assert_int_equal(page->dirty, VCPU_GROUP_RIP);
    assert_int_equal(page->request_nmi_window, 1);
    event_deliver_to_processor(machine); // its delivery was interrupted: it is still to come
    assert_int_equal(page->event.word, nmi);
    page->event.word = 0;
    page->interruptibility = VCPU_BLOCKED_BY_NMI; // in the handler
    apic.attention |= APIC_ATTENTION_NMI;
    event_deliver_to_processor(machine);
    assert_int_equal(page->event.word, 0);
    assert_int_equal(page->interruptibility, VCPU_BLOCKED_BY_NMI);
    page->interruptibility = 0; // after the IRET
    event_deliver_to_processor(machine);
    assert_int_equal(page->event.word, nmi);
    page->event.word = 0;
    page->interruptibility = 0; // that handler is done too
    event_deliver_to_processor(machine);
    assert_int_equal(page->request_nmi_window, 0);
    page->interruptibility = VCPU_BLOCKED_BY_NMI;
    apic.attention |= APIC_ATTENTION_NMI;
    event_deliver_to_processor(machine);
    assert_int_equal(page->event.word, nmi);
    free(fixture);
}

// Two that came while the processor did not run are handled one after the other; of those that come
// while one is handled, one is kept.
static void test_two_nmis(void **state)
{
    const struct apic_message message = {.mode = APIC_MODE_NMI};
    const uint32_t nmi = VCPU_EVENT_VALID | VCPU_EVENT_NMI | VECTOR_NMI;
    struct fixture *fixture = fixture_new();
    struct machine *machine = &fixture->machine;
    struct vcpu_page *page = machine->page;
    struct apic_bus bus;
    struct local_apic apic;

    (void)state;
    give_apic(fixture, &bus, &apic, 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(apic_bus_deliver(&apic, &message));
    }
    event_deliver_to_processor(machine);
    assert_int_equal(page->event.word, nmi);
    page->event.word = 0;
    page->interruptibility = VCPU_BLOCKED_BY_NMI; // in the handler
    for (unsigned i = 0; i < 2; i++) {
        assert_true(apic_bus_deliver(&apic, &message));
        event_deliver_to_processor(machine);
        assert_int_equal(page->event.word, 0);
    }
    page->interruptibility = 0; // after the IRET
    event_deliver_to_processor(machine);
    assert_int_equal(page->event.word, nmi);
    page->event.word = 0;
    event_deliver_to_processor(machine);
    assert_int_equal(page->event.word, 0);
    assert_int_equal(apic.attention, 0);
    free(fixture);
}

// A processor in x2APIC mode with a virtual-APIC page.
struct virtual_processor {
    struct fixture *fixture;
    struct vcpu_page *page;
    struct apic_bus bus;
    struct local_apic apic;
    uint32_t registers[1024]; // the virtual-APIC page
};

static void start_virtual(struct virtual_processor *processor)
{
    const struct local_apic_wiring wiring = {&processor->bus, NULL, 0, 1, 40};
    struct machine *machine;

    memset(processor, 0, sizeof(*processor));
    processor->fixture = fixture_new();
    processor->page = &processor->fixture->page;
    machine = &processor->fixture->machine;
    apic_bus_init(&processor->bus);
    local_apic_init(&processor->apic, &wiring);
    processor->apic.page = processor->registers;
    machine->apic = &processor->apic;
    local_apic_set_task_priority(&processor->apic, 2);
    assert_true(local_apic_accept(&processor->apic, 0x31, false));
    assert_true(local_apic_set_base(&processor->apic, LOCAL_APIC_ADDRESS | APIC_BASE_BSP |
                                                          APIC_BASE_ENABLE | APIC_BASE_X2APIC));
    local_apic_choose_mode(&processor->apic);
    event_load_apic(machine);
}

static uint32_t *shown(struct virtual_processor *processor, uint32_t reg)
{
    return &processor->registers[4 * reg];
}

static void test_page_shows_registers(void **state)
{
    struct virtual_processor processor;

    (void)state;
    start_virtual(&processor);
    assert_int_equal(processor.page->apic_mode, VCPU_APIC_VIRTUAL);
    assert_int_equal(processor.page->interrupt_status, 0); // nothing is in service
    assert_true(processor.page->dirty & VCPU_GROUP_APIC);
    assert_int_equal(*shown(&processor, APIC_TPR), 0x20);
    assert_int_equal(*shown(&processor, APIC_ID), 0);
    assert_int_equal(*shown(&processor, APIC_LDR), 1);
    assert_int_equal(*shown(&processor, APIC_LVT + LVT_LINT0), APIC_MODE_EXTINT);
    assert_true(local_apic_write_msr(&processor.apic, APIC_LVT, 0x400ee));
    assert_int_equal(*shown(&processor, APIC_LVT), 0x400ee);
    assert_true(local_apic_write_msr(&processor.apic, APIC_ICR, 0x500000042));
    assert_int_equal(shown(&processor, APIC_ICR)[0], 0x42);
    assert_int_equal(shown(&processor, APIC_ICR)[1], 5);
    assert_true(local_apic_set_base(&processor.apic, LOCAL_APIC_ADDRESS | APIC_BASE_BSP));
    local_apic_choose_mode(&processor.apic);
    event_load_apic(&processor.fixture->machine);
    assert_int_equal(processor.page->apic_mode, VCPU_APIC_MONITOR);
    assert_int_equal(processor.page->interrupt_status, 0);
    free(processor.fixture);
}

static void test_virtual_delivery(void **state)
{
    struct virtual_processor processor;
    struct vcpu_page *page;
    struct machine *machine;

    (void)state;
    start_virtual(&processor);
    machine = &processor.fixture->machine;
    page = processor.page;
    page->halted = 1;
    page->event.word = 0;
    page->rflags |= RFLAGS_IF;
    local_apic_set_task_priority(&processor.apic, 5);
    assert_int_equal(*shown(&processor, APIC_TPR), 0x50);
    assert_true(local_apic_accept(&processor.apic, 0x52, true));
    assert_false(local_apic_accept(&processor.apic, 0x52, true));
    event_deliver_to_processor(machine);
    assert_int_equal(page->halted, 1); // its priority is too low
    assert_int_equal(page->event.word, 0);
    assert_int_equal(page->request_window, 0);
    assert_int_equal(page->eoi_exit[3], UINT64_MAX); // something waits
    local_apic_set_task_priority(&processor.apic, 0);
    event_deliver_to_processor(machine);
    assert_int_equal(page->halted, 0);
    assert_int_equal(page->event.word & ~VCPU_EVENT_VALID, 0x52);
    assert_int_equal(page->interrupt_status, 0x5200);
    assert_int_equal(*shown(&processor, APIC_ISR + 2), 1u << (0x52 - 64));
    assert_int_equal(local_apic_priority(&processor.apic), 0x50);
    // 0x31 still waits, and 0x61, which is above what is in service, is told of.
    processor.bus.wake = 0;
    page->event.word = 0;
    page->rflags &= ~(uint64_t)RFLAGS_IF;
    event_deliver_to_processor(machine);
    assert_int_equal(page->request_window, 0);
    assert_true(local_apic_accept(&processor.apic, 0x61, false));
    assert_int_equal(processor.bus.wake, 1);
    event_deliver_to_processor(machine);
    assert_int_equal(page->request_window, 1);
    page->rflags |= RFLAGS_IF;
    event_deliver_to_processor(machine);
    assert_int_equal(page->interrupt_status, 0x6100);
    // The processor ends both.
    page->event.word = 0;
    *shown(&processor, APIC_ISR + 3) = 0;
    *shown(&processor, APIC_ISR + 2) = 0;
    event_deliver_to_processor(machine);
    assert_int_equal(page->interrupt_status, 0x3100);
    assert_int_equal(page->eoi_exit[1], 1ull << (0x52 - 64)); // the level-triggered one
    assert_int_equal(page->eoi_exit[3], 0);
    assert_int_equal(processor.apic.attention, 0);
    free(processor.fixture);
}

static void test_virtual_init(void **state)
{
    static struct vcpu_page reset;
    struct virtual_processor processor;
    struct machine *machine;

    (void)state;
    start_virtual(&processor);
    machine = &processor.fixture->machine;
    machine->reset = &reset;
    processor.apic.attention = APIC_ATTENTION_INIT;
    event_take_start_up(machine);
    assert_int_equal(processor.page->apic_mode, VCPU_APIC_VIRTUAL); // the mode survives an INIT
    assert_int_equal(processor.page->interrupt_status, 0);
    assert_int_equal(*shown(&processor, APIC_TPR), 0);
    assert_int_equal(*shown(&processor, APIC_SPURIOUS), 0xff);
    free(processor.fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_up_signals),     cmocka_unit_test(test_local_apic_delivery),
        cmocka_unit_test(test_nmi_blocking),         cmocka_unit_test(test_two_nmis),
        cmocka_unit_test(test_page_shows_registers), cmocka_unit_test(test_virtual_delivery),
        cmocka_unit_test(test_virtual_init),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
