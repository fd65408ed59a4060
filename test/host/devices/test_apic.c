// SPDX-License-Identifier: MIT
// Local APICs and the I/O APIC in a whole platform of four processors: both faces, routing, timer,
// modes, and how the PIC comes through.
#include "test/host/devices/machine.h"

#define PROCESSORS    4u
#define EXTD          (APIC_BASE_ENABLE | APIC_BASE_X2APIC)
#define IO_ENTRY(pin) (0x10u + 2 * (pin))

static int four_processors(void **state)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    const struct platform_config config = {
        .tsc = START_TSC,
        .tsc_hz = NANOSECONDS,
        .start_time = START_TIME,
        .memory_bytes = 256u << 20,
        .processors = PROCESSORS,
        .ticks_per_count = 1,
        .physical_bits = 40,
        .context = machine,
        .console_output = machine_output,
        .console_input = machine_input,
    };
    assert_non_null(machine);
    assert_int_equal(platform_init(&machine->platform, &config), STATUS_OK);
    *state = machine;
    return 0;
}

#define APIC_TEST(function)                                                                        \
    cmocka_unit_test_setup_teardown(function, four_processors, machine_destroy)

static struct local_apic *apic(struct machine *m, unsigned i)
{
    return &m->platform.processor[i].apic;
}

static uint32_t get(struct machine *m, unsigned i, uint32_t reg)
{
    return (uint32_t)mmio_bus_read(&m->platform.processor[i].mmio,
                                   gpa(LOCAL_APIC_ADDRESS + 16 * reg), 4);
}

static void set(struct machine *m, unsigned i, uint32_t reg, uint32_t value)
{
    mmio_bus_write(&m->platform.processor[i].mmio, gpa(LOCAL_APIC_ADDRESS + 16 * reg), 4, value);
}

static bool set_msr(struct machine *m, unsigned i, uint32_t reg, uint64_t value)
{
    return local_apic_write_msr(apic(m, i), reg, value);
}

static uint64_t get_msr(struct machine *m, unsigned i, uint32_t reg)
{
    uint64_t value = 0;
    assert_true(local_apic_read_msr(apic(m, i), reg, &value));
    return value;
}

static bool set_base(struct machine *m, unsigned i, uint64_t flags)
{
    return platform_set_apic_base(&m->platform, apic(m, i),
                                  LOCAL_APIC_ADDRESS | (i == 0 ? APIC_BASE_BSP : 0) | flags);
}

static void enable_all(struct machine *m)
{
    for (unsigned i = 0; i < PROCESSORS; i++) {
        set(m, i, APIC_SPURIOUS, 0x1ff);
        set(m, i, APIC_LDR, 1u << (24 + i));
    }
    m->platform.apic_bus.wake = 0;
}

static void enable_all_x2apic(struct machine *m)
{
    for (unsigned i = 0; i < PROCESSORS; i++) {
        assert_true(set_base(m, i, EXTD));
        assert_true(set_msr(m, i, APIC_SPURIOUS, 0x1ff));
    }
    m->platform.apic_bus.wake = 0;
}

static void io_set(struct machine *m, uint32_t index, uint32_t value)
{
    struct mmio_bus *bus = &m->platform.processor[0].mmio;
    mmio_bus_write(bus, gpa(IO_APIC_ADDRESS), 4, index);
    mmio_bus_write(bus, gpa(IO_APIC_ADDRESS + 0x10), 4, value);
}

static uint32_t io_get(struct machine *m, uint32_t index)
{
    struct mmio_bus *bus = &m->platform.processor[0].mmio;
    mmio_bus_write(bus, gpa(IO_APIC_ADDRESS), 4, index);
    return (uint32_t)mmio_bus_read(bus, gpa(IO_APIC_ADDRESS + 0x10), 4);
}

static void isa(struct machine *m, unsigned irq, bool level)
{
    m->platform.isa.ops->set(&m->platform.isa, irq, level);
}

static bool waits(struct machine *m, unsigned i)
{
    return platform_processor_pending(&m->platform, apic(m, i));
}

static unsigned take(struct machine *m, unsigned i)
{
    assert_true(waits(m, i));
    return platform_processor_acknowledge(&m->platform, apic(m, i));
}

static void power_on_state(void **state)
{
    struct machine *m = *state;
    assert_int_equal(get(m, 0, APIC_ID), 0);
    assert_int_equal(get(m, 3, APIC_ID), 3u << 24);
    assert_int_equal(get(m, 1, APIC_VERSION), 0x50014);
    assert_int_equal(get(m, 0, APIC_DFR), 0xffffffff);
    assert_int_equal(get(m, 0, APIC_SPURIOUS), 0x1ff); // as firmware leaves the boot processor
    assert_int_equal(get(m, 0, APIC_LVT + LVT_LINT0), 0x700);
    assert_int_equal(get(m, 1, APIC_SPURIOUS), 0xff);
    assert_int_equal(get(m, 1, APIC_LVT + LVT_LINT0), APIC_MASKED);
    assert_int_equal(apic(m, 0)->base, 0xfee00900);
    assert_int_equal(apic(m, 1)->base, 0xfee00800);
}

static void registers_keep_what_they_have(void **state)
{
    struct machine *m = *state;
    static const struct {
        uint32_t reg, value, shown;
    } rows[] = {
        {APIC_ID, 0xffffffff, 0xff000000},
        {APIC_VERSION, 0, 0x50014},
        {APIC_TPR, 0xffffff35, 0x35},
        {APIC_PPR, 0xff, 0x35},
        {APIC_LDR, 0xffffffff, 0xff000000},
        {APIC_DFR, 0, 0x0fffffff},
        {APIC_ICR_HIGH, 0xffffffff, 0xff000000},
        {APIC_LVT + LVT_TIMER, 0xffffffff, 0x700ff},
        {APIC_LVT + LVT_THERMAL, 0xffffffff, 0x107ff},
        {APIC_LVT + LVT_PERFORMANCE, 0xffffffff, 0x107ff},
        {APIC_LVT + LVT_LINT0, 0xffffffff, 0x1a7ff},
        {APIC_LVT + LVT_LINT1, 0xffffffff, 0x1a7ff},
        {APIC_LVT + LVT_ERROR, 0xffffffff, 0x100ff},
        {APIC_DIVIDE, 0xffffffff, 0xb},
        {APIC_SPURIOUS, 0xffffffff, 0x1ff},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
        set(m, 0, rows[i].reg, rows[i].value);
        assert_int_equal(get(m, 0, rows[i].reg), rows[i].shown);
    }
}

static void software_disabling_masks(void **state)
{
    struct machine *m = *state;
    set(m, 0, APIC_LVT + LVT_ERROR, 0x50);
    set(m, 0, APIC_SPURIOUS, 0xff);
    assert_int_equal(get(m, 0, APIC_LVT + LVT_ERROR), 0x10050);
    set(m, 0, APIC_LVT + LVT_ERROR, 0x51);
    assert_int_equal(get(m, 0, APIC_LVT + LVT_ERROR), 0x10051);
    set(m, 0, APIC_SPURIOUS, 0x1ff);
    assert_int_equal(get(m, 0, APIC_LVT + LVT_ERROR), 0x10051);
    set(m, 0, APIC_LVT + LVT_ERROR, 0x51);
    assert_int_equal(get(m, 0, APIC_LVT + LVT_ERROR), 0x51);
    set(m, 1, APIC_SPURIOUS, 0xff);
    assert_false(local_apic_accept(apic(m, 1), 0x40, false));
    assert_false(waits(m, 1));
}

static void priorities(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    assert_true(local_apic_accept(apic(m, 1), 0x41, false));
    assert_false(local_apic_accept(apic(m, 1), 0x41, false)); // it waits already
    assert_true(local_apic_accept(apic(m, 1), 0x52, false));
    assert_int_equal(m->platform.apic_bus.wake, 2);
    assert_int_equal(get(m, 1, APIC_IRR + 2), 1u << 1 | 1u << 18);
    assert_int_equal(take(m, 1), 0x52);
    assert_int_equal(get(m, 1, APIC_PPR), 0x50);
    assert_int_equal(get(m, 1, APIC_ISR + 2), 1u << 18);
    assert_false(waits(m, 1));
    local_apic_accept(apic(m, 1), 0x5f, false); // the same class
    assert_false(waits(m, 1));
    local_apic_accept(apic(m, 1), 0x60, false);
    assert_int_equal(take(m, 1), 0x60);
    set(m, 1, APIC_EOI, 0);
    assert_false(waits(m, 1));
    set(m, 1, APIC_EOI, 0);
    assert_int_equal(take(m, 1), 0x5f);
    set(m, 1, APIC_TPR, 0x4f);
    set(m, 1, APIC_EOI, 0);
    assert_false(waits(m, 1));
    assert_int_equal(get(m, 1, APIC_PPR), 0x4f);
    local_apic_set_task_priority(apic(m, 1), 3);
    assert_int_equal(get(m, 1, APIC_TPR), 0x30);
    assert_int_equal(take(m, 1), 0x41);
    set(m, 1, APIC_EOI, 0);
    set(m, 1, APIC_EOI, 0);                                     // nothing in service: no effect
    assert_int_equal(local_apic_acknowledge(apic(m, 1)), 0xff); // spurious, not in service
    assert_int_equal(get(m, 1, APIC_ISR + 7), 0);
}

static void ipis_by_xapic(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    set(m, 0, APIC_ICR_HIGH, 2u << 24);
    set(m, 0, APIC_ICR, 0x40); // physical, to 2
    assert_int_equal(m->platform.apic_bus.wake, 4);
    assert_int_equal(take(m, 2), 0x40);
    set(m, 2, APIC_EOI, 0);
    set(m, 0, APIC_ICR_HIGH, 0xau << 24);
    set(m, 0, APIC_ICR, 0x841); // logical flat, to 1 and 3
    assert_false(waits(m, 0) || waits(m, 2));
    assert_int_equal(take(m, 1), 0x41);
    assert_int_equal(take(m, 3), 0x41);
    set(m, 0, APIC_ICR, 0xc0042); // all but self
    assert_false(waits(m, 0));
    for (unsigned i = 1; i < PROCESSORS; i++)
        assert_true(vector_set_has(&apic(m, i)->irr, 0x42));
    set(m, 0, APIC_ICR, 0x40043); // self
    assert_int_equal(take(m, 0), 0x43);
    set(m, 0, APIC_ICR, 0x80054); // all
    for (unsigned i = 0; i < PROCESSORS; i++)
        assert_int_equal(take(m, i), 0x54);
    set(m, 0, APIC_ICR_HIGH, 0xffu << 24);
    set(m, 0, APIC_ICR, 0x65); // broadcast
    for (unsigned i = 0; i < PROCESSORS; i++)
        assert_int_equal(take(m, i), 0x65);
}

static void cluster_model(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    for (unsigned i = 0; i < PROCESSORS; i++) {
        set(m, i, APIC_DFR, 0x0fffffff);
        set(m, i, APIC_LDR, (i / 2) << 28 | 1u << (24 + i % 2));
    }
    set(m, 0, APIC_ICR_HIGH, 0x12u << 24); // cluster 1, member 1
    set(m, 0, APIC_ICR, 0x840);
    assert_false(waits(m, 0) || waits(m, 1) || waits(m, 2));
    assert_int_equal(take(m, 3), 0x40);
}

static void lowest_priority(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    set(m, 0, APIC_TPR, 0x20);
    set(m, 1, APIC_TPR, 0x20);
    set(m, 3, APIC_TPR, 0x20);
    set(m, 0, APIC_ICR_HIGH, 0xfu << 24);
    set(m, 0, APIC_ICR, 0x940);
    assert_false(waits(m, 0) || waits(m, 1) || waits(m, 3));
    assert_int_equal(take(m, 2), 0x40);
    set(m, 2, APIC_EOI, 0);
    unsigned seen = 0;
    for (unsigned i = 0; i < PROCESSORS; i++)
        set(m, i, APIC_TPR, 0);
    for (unsigned turn = 0; turn < PROCESSORS; turn++) // equals take turns
        set(m, 0, APIC_ICR, 0x900 | (0x50 + 0x10 * turn));
    for (unsigned i = 0; i < PROCESSORS; i++)
        seen |= (unsigned)waits(m, i) << i;
    assert_int_equal(seen, 0xf);
}

static void errors_are_recorded(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    set(m, 0, APIC_LVT + LVT_ERROR, 0x70);
    set(m, 0, APIC_ICR_HIGH, 1u << 24);
    set(m, 0, APIC_ICR, 0x0f); // an illegal vector
    assert_false(waits(m, 1));
    assert_int_equal(take(m, 0), 0x70);
    assert_int_equal(get(m, 0, APIC_ESR), 0);
    set(m, 0, APIC_ESR, 0);
    assert_int_equal(get(m, 0, APIC_ESR), APIC_ERROR_SEND_VECTOR);
    set(m, 0, APIC_ESR, 0);
    assert_int_equal(get(m, 0, APIC_ESR), 0);
    assert_int_equal(get(m, 0, 0x3f), 0); // no such register in memory
    set(m, 0, APIC_ESR, 0);
    assert_int_equal(get(m, 0, APIC_ESR), APIC_ERROR_REGISTER);
    local_apic_accept(apic(m, 1), 3, false);
    set(m, 1, APIC_ESR, 0);
    assert_int_equal(get(m, 1, APIC_ESR), APIC_ERROR_RECEIVE_VECTOR);
}

static void start_up_signals(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    set(m, 1, APIC_TPR, 0x10);
    set(m, 0, APIC_ICR, 0xc4500); // INIT to all but self
    assert_int_equal(m->platform.apic_bus.wake, 0xe);
    assert_int_equal(apic(m, 1)->attention, APIC_ATTENTION_INIT);
    assert_int_equal(apic(m, 0)->attention, 0);
    local_apic_init_signal(apic(m, 1));
    assert_int_equal(get(m, 1, APIC_TPR), 0);
    assert_int_equal(get(m, 1, APIC_ID), 1u << 24);
    set(m, 0, APIC_ICR, 0xc8500); // INIT level de-assert: nothing
    assert_int_equal(apic(m, 1)->attention, 0);
    set(m, 0, APIC_ICR, 0xc4699);
    assert_int_equal(apic(m, 1)->attention, APIC_ATTENTION_SIPI);
    assert_int_equal(apic(m, 1)->startup_page, 0x99);
    assert_true(set_base(m, 2, 0));
    m->platform.apic_bus.wake = 0;
    set(m, 0, APIC_ICR, 0xc0400); // NMI; 2 is off
    assert_int_equal(m->platform.apic_bus.wake, 0xa);
    set(m, 0, APIC_ICR, 0x40500); // INIT to self by shorthand is not allowed
    assert_int_equal(apic(m, 0)->attention, 0);
}

static void base_transitions(void **state)
{
    struct machine *m = *state;
    const uint64_t at = LOCAL_APIC_ADDRESS;
    struct local_apic *a = apic(m, 1);
    assert_false(platform_set_apic_base(&m->platform, a, at | APIC_BASE_X2APIC));
    assert_false(platform_set_apic_base(&m->platform, a, at | APIC_BASE_ENABLE | 1));
    assert_false(platform_set_apic_base(&m->platform, a, at | APIC_BASE_ENABLE | 1ull << 9));
    assert_false(platform_set_apic_base(&m->platform, a, at | APIC_BASE_ENABLE | 1ull << 40));
    set(m, 1, APIC_TPR, 0x50);
    assert_true(platform_set_apic_base(&m->platform, a, at));
    assert_int_equal(get(m, 1, APIC_TPR), 0xffffffff); // nobody answers
    assert_false(platform_set_apic_base(&m->platform, a, at | EXTD));
    assert_true(platform_set_apic_base(&m->platform, a, at | APIC_BASE_ENABLE));
    assert_int_equal(get(m, 1, APIC_TPR), 0);
    assert_int_equal(get(m, 1, APIC_SPURIOUS), 0xff);
    assert_true(platform_set_apic_base(&m->platform, a, at | EXTD));
    assert_int_equal(get(m, 1, APIC_TPR), 0xffffffff);
    assert_false(platform_set_apic_base(&m->platform, a, at | APIC_BASE_ENABLE));
    assert_true(platform_set_apic_base(&m->platform, a, at | EXTD));
    assert_true(platform_set_apic_base(&m->platform, a, at));
    assert_true(platform_set_apic_base(&m->platform, a, 0x42000000 | APIC_BASE_ENABLE));
    assert_int_equal(get(m, 1, APIC_VERSION), 0xffffffff);
    assert_int_equal(mmio_bus_read(&m->platform.processor[1].mmio, gpa(0x42000030), 4), 0x50014);
    assert_int_equal(get(m, 0, APIC_VERSION), 0x50014); // the others stay
}

static void x2apic_face(void **state)
{
    struct machine *m = *state;
    uint64_t value;
    assert_false(local_apic_read_msr(apic(m, 3), APIC_ID, &value)); // not in xAPIC mode
    enable_all_x2apic(m);
    assert_int_equal(get_msr(m, 3, APIC_ID), 3);
    assert_int_equal(get_msr(m, 3, APIC_LDR), 8);
    static const uint32_t unreadable[] = {0x00, APIC_APR,      APIC_EOI, APIC_RRD,     APIC_DFR,
                                          0x2f, APIC_ICR_HIGH, 0x3a,     APIC_SELF_IPI};
    for (unsigned i = 0; i < ARRAY_COUNT(unreadable); i++)
        assert_false(local_apic_read_msr(apic(m, 3), unreadable[i], &value));
    static const struct {
        uint32_t reg;
        uint64_t value;
    } refused[] = {
        {APIC_ID, 3},
        {APIC_VERSION, 0},
        {APIC_PPR, 0},
        {APIC_LDR, 8},
        {APIC_DFR, 0},
        {APIC_EOI, 1},
        {APIC_ESR, 1},
        {APIC_TPR, 0x100},
        {APIC_TPR, 1ull << 32},
        {APIC_ISR, 0},
        {APIC_IRR + 7, 0},
        {APIC_CURRENT_COUNT, 0},
        {APIC_DIVIDE, 4},
        {APIC_SELF_IPI, 0x100},
        {APIC_SPURIOUS, 0x1000},
        {APIC_ICR, 1u << 13},
        {APIC_ICR, 1u << 16},
        {APIC_ICR, 1u << 20},
        {APIC_ICR_HIGH, 0},
        {APIC_LVT, 1u << 19},
        {APIC_LVT + LVT_LINT0, 1u << 11},
        {APIC_INITIAL_COUNT, 1ull << 32},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(refused); i++)
        assert_false(set_msr(m, 3, refused[i].reg, refused[i].value));
    assert_true(set_msr(m, 3, APIC_LVT + LVT_LINT0, 0x15000 | APIC_MODE_EXTINT)); // read-only bits
    assert_true(set_msr(m, 3, APIC_SELF_IPI, 0x77));
    assert_int_equal(take(m, 3), 0x77);
    assert_true(set_msr(m, 3, APIC_EOI, 0));
    assert_true(set_msr(m, 0, APIC_ICR, 3ull << 32 | 0x1040)); // physical
    assert_int_equal(get_msr(m, 0, APIC_ICR), 3ull << 32 | 0x40);
    assert_int_equal(take(m, 3), 0x40);
    assert_true(set_msr(m, 0, APIC_ICR, 6ull << 32 | 0x850)); // logical
    assert_int_equal(take(m, 1), 0x50);
    assert_int_equal(take(m, 2), 0x50);
    assert_true(set_msr(m, 0, APIC_ICR, 0x10006ull << 32 | 0x860)); // another cluster
    assert_false(waits(m, 1) || waits(m, 2));
    assert_true(set_msr(m, 0, APIC_ICR, 0xffull << 32 | 0x60)); // no broadcast here
    assert_false(waits(m, 1));
    assert_true(set_msr(m, 0, APIC_ICR, 0xffffffffull << 32 | 0x60));
    assert_int_equal(take(m, 1), 0x60);
}

static void one_shot_timer(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    struct local_apic *a = apic(m, 1);
    set(m, 1, APIC_LVT, 0x80);
    set(m, 1, APIC_DIVIDE, 0); // by 2
    set(m, 1, APIC_INITIAL_COUNT, 100);
    assert_int_equal(a->timer_due, START_TSC + 200);
    go_to(m, 150);
    assert_int_equal(get(m, 1, APIC_CURRENT_COUNT), 25);
    local_apic_run_timer(a);
    assert_false(waits(m, 1));
    go_to(m, 200);
    local_apic_run_timer(a);
    assert_int_equal(take(m, 1), 0x80);
    assert_int_equal(get(m, 1, APIC_CURRENT_COUNT), 0);
    assert_int_equal(a->timer_due, CLOCK_NEVER);
    set(m, 1, APIC_EOI, 0);
    set(m, 1, APIC_INITIAL_COUNT, 100);
    set(m, 1, APIC_DIVIDE, 0xb); // by 1, half of it done by then
    assert_int_equal(a->timer_due, START_TSC + 300);
    set(m, 1, APIC_INITIAL_COUNT, 0);
    assert_int_equal(a->timer_due, CLOCK_NEVER);
    set(m, 1, APIC_LVT, 0x10080);
    set(m, 1, APIC_INITIAL_COUNT, 10);
    go_to(m, 1000);
    local_apic_run_timer(a); // masked: it ends in silence
    assert_false(waits(m, 1));
    assert_int_equal(a->timer_due, CLOCK_NEVER);
}

static void dividers(void **state)
{
    struct machine *m = *state;
    static const unsigned by[] = {2, 4, 8, 16, 32, 64, 128, 1};
    enable_all(m);
    for (uint32_t i = 0; i < ARRAY_COUNT(by); i++) {
        set(m, 1, APIC_DIVIDE, (i & 3) | (i & 4) << 1);
        set(m, 1, APIC_INITIAL_COUNT, 1000);
        assert_int_equal(apic(m, 1)->timer_due, START_TSC + 1000 * by[i]);
    }
}

static void periodic_timer(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    struct local_apic *a = apic(m, 1);
    set(m, 1, APIC_DIVIDE, 0xb);
    set(m, 1, APIC_LVT, 0x20080);
    set(m, 1, APIC_INITIAL_COUNT, 100);
    go_to(m, 100);
    local_apic_run_timer(a);
    assert_int_equal(take(m, 1), 0x80);
    set(m, 1, APIC_EOI, 0);
    assert_int_equal(a->timer_due, START_TSC + 200);
    go_to(m, 555); // several at once are one
    local_apic_run_timer(a);
    assert_int_equal(take(m, 1), 0x80);
    set(m, 1, APIC_EOI, 0);
    assert_false(waits(m, 1));
    assert_int_equal(a->timer_due, START_TSC + 600);
    assert_int_equal(get(m, 1, APIC_CURRENT_COUNT), 45);
    local_apic_skip_time(a, 1000, 0);
    assert_int_equal(a->timer_due, START_TSC + 1600);
}

static void deadline_timer(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    struct local_apic *a = apic(m, 1);
    local_apic_set_tsc_offset(a, (uint64_t)0 - START_TSC);
    local_apic_set_deadline(a, 500); // not in this mode
    assert_int_equal(local_apic_deadline(a), 0);
    set(m, 1, APIC_LVT, 0x40081);
    local_apic_set_deadline(a, 500);
    assert_int_equal(local_apic_deadline(a), 500);
    assert_int_equal(a->timer_due, START_TSC + 500);
    assert_int_equal(get(m, 1, APIC_CURRENT_COUNT), 0);
    set(m, 1, APIC_INITIAL_COUNT, 5);
    assert_int_equal(a->timer_due, START_TSC + 500);
    go_to(m, 500);
    local_apic_run_timer(a);
    assert_int_equal(local_apic_deadline(a), 0);
    assert_int_equal(take(m, 1), 0x81);
    set(m, 1, APIC_EOI, 0);
    local_apic_set_deadline(a, 400); // the past
    local_apic_run_timer(a);
    assert_int_equal(take(m, 1), 0x81);
    set(m, 1, APIC_EOI, 0);
    local_apic_set_deadline(a, UINT64_MAX);
    assert_int_equal(a->timer_due, CLOCK_NEVER);
    local_apic_set_deadline(a, 0);
    assert_int_equal(a->timer_due, CLOCK_NEVER);
    local_apic_set_deadline(a, 900);
    local_apic_set_tsc_offset(a, (uint64_t)100 - START_TSC);
    assert_int_equal(a->timer_due, START_TSC + 800);
    set(m, 1, APIC_LVT, 0x81); // another mode disarms
    assert_int_equal(a->timer_due, CLOCK_NEVER);
}

static void io_apic_registers(void **state)
{
    struct machine *m = *state;
    assert_int_equal(io_get(m, 1), 0x170011);
    assert_int_equal(io_get(m, IO_ENTRY(23)), 0x10000);
    io_set(m, 0, 0xffffffff);
    assert_int_equal(io_get(m, 0), 0x0f000000);
    io_set(m, IO_ENTRY(5), 0xffffffff);
    assert_int_equal(io_get(m, IO_ENTRY(5)), 0x1afff);
    io_set(m, IO_ENTRY(5) + 1, 0xffffffff);
    assert_int_equal(io_get(m, IO_ENTRY(5) + 1), 0xff000000);
    assert_int_equal(io_get(m, IO_ENTRY(24)), 0);
    io_set(m, IO_ENTRY(24), 0xffffffff);
    io_set(m, 0xff, 0xffffffff);
}

static void edge_inputs(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    isa(m, 4, true); // masked: lost
    io_set(m, IO_ENTRY(4) + 1, 1u << 24);
    io_set(m, IO_ENTRY(4), 0x34);
    assert_false(waits(m, 1));
    isa(m, 4, false);
    isa(m, 4, true);
    assert_int_equal(take(m, 1), 0x34);
    assert_int_equal(get(m, 1, APIC_TMR + 1), 0);
    set(m, 1, APIC_EOI, 0);
    assert_false(waits(m, 1));
    io_set(m, IO_ENTRY(2), 0x30); // IRQ 0
    isa(m, 0, false);
    isa(m, 0, true);
    assert_int_equal(take(m, 0), 0x30);
}

static void level_inputs(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    io_set(m, IO_ENTRY(9), 0x8039);
    isa(m, 9, true);
    assert_int_equal(io_get(m, IO_ENTRY(9)), 0xc039); // remote IRR
    assert_int_equal(take(m, 0), 0x39);
    assert_int_equal(get(m, 0, APIC_TMR + 1), 1u << 25);
    isa(m, 9, false);
    isa(m, 9, true);
    assert_false(waits(m, 0)); // until the end of the first
    set(m, 0, APIC_EOI, 0);
    assert_int_equal(take(m, 0), 0x39);
    isa(m, 9, false);
    set(m, 0, APIC_EOI, 0);
    assert_false(waits(m, 0));
    assert_int_equal(io_get(m, IO_ENTRY(9)), 0x8039);
    io_set(m, IO_ENTRY(9), 0x18039);
    isa(m, 9, true);
    io_set(m, IO_ENTRY(9), 0x8039); // unmasked while high
    assert_int_equal(take(m, 0), 0x39);
    io_set(m, IO_ENTRY(9), 0x0039); // edge forgets the service
    assert_int_equal(io_get(m, IO_ENTRY(9)), 0x39);
}

static void pic_through_lint0(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    isa(m, 1, true);
    assert_true(waits(m, 0));
    assert_false(waits(m, 1));
    assert_int_equal(take(m, 0), 0x21);
    for (uint32_t i = 0; i < 8; i++) // nothing in service
        assert_int_equal(get(m, 0, APIC_ISR + i), 0);
    out(m, 0x20, 0x20);
    isa(m, 1, false);
    set(m, 0, APIC_LVT + LVT_LINT0, 0x10700);
    isa(m, 1, true);
    assert_false(waits(m, 0));
    assert_true(set_base(m, 0, 0)); // off: directly
    assert_int_equal(take(m, 0), 0x21);
}

static void pic_comes_before_waiting_vectors(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    local_apic_accept(apic(m, 0), 0xf1, false);
    set(m, 0, APIC_TPR, 0xff);
    isa(m, 1, true);
    assert_int_equal(take(m, 0), 0x21); // the task priority is not asked
    assert_false(waits(m, 0));
    set(m, 0, APIC_TPR, 0);
    assert_int_equal(take(m, 0), 0xf1);
}

static void timer_ticks_are_acknowledged_through_the_io_apic(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    io_set(m, IO_ENTRY(2), 0x30);
    out(m, 0x43, 0x34);
    out(m, 0x40, 0xa9);
    out(m, 0x40, 0x04); // 1 ms
    unsigned ticks = 0;
    for (unsigned i = 0; i < 200; i++) { // half a millisecond a turn; every other is late
        pass(m, 500000);
        for (; i % 4 == 0 && waits(m, 0); ticks++) {
            assert_int_equal(take(m, 0), 0x30);
            set(m, 0, APIC_EOI, 0);
        }
    }
    assert_in_range(ticks, 96, 100);
}

static void too_many_processors(void **state)
{
    struct machine *m = *state;
    struct platform_config config = {
        .tsc_hz = NANOSECONDS,
        .processors = APIC_BUS_PROCESSORS + 1,
        .console_output = machine_output,
        .console_input = machine_input,
    };
    assert_int_equal(platform_init(&m->platform, &config), STATUS_INVALID);
}

static void reset_of_the_machine(void **state)
{
    struct machine *m = *state;
    enable_all_x2apic(m);
    io_set(m, IO_ENTRY(4), 0x34);
    platform_reset(&m->platform);
    power_on_state(state);
    assert_int_equal(io_get(m, IO_ENTRY(4)), 0x10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        APIC_TEST(power_on_state),
        APIC_TEST(registers_keep_what_they_have),
        APIC_TEST(software_disabling_masks),
        APIC_TEST(priorities),
        APIC_TEST(ipis_by_xapic),
        APIC_TEST(cluster_model),
        APIC_TEST(lowest_priority),
        APIC_TEST(errors_are_recorded),
        APIC_TEST(start_up_signals),
        APIC_TEST(base_transitions),
        APIC_TEST(x2apic_face),
        APIC_TEST(one_shot_timer),
        APIC_TEST(dividers),
        APIC_TEST(periodic_timer),
        APIC_TEST(deadline_timer),
        APIC_TEST(io_apic_registers),
        APIC_TEST(edge_inputs),
        APIC_TEST(level_inputs),
        APIC_TEST(pic_through_lint0),
        APIC_TEST(pic_comes_before_waiting_vectors),
        APIC_TEST(timer_ticks_are_acknowledged_through_the_io_apic),
        APIC_TEST(too_many_processors),
        APIC_TEST(reset_of_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
