// SPDX-License-Identifier: MIT
// The rest of the machine: how it ends, the keyboard controller, ACPI registers, and the wiring.
#include "test/host/devices/machine.h"

static enum machine_end ended(const struct machine *m, uint32_t *value)
{
    return platform_ended(&m->platform, value);
}

#define ASSERT_ENDED(m, how, with)                                                                 \
    do {                                                                                           \
        uint32_t value_;                                                                           \
        assert_int_equal(ended(m, &value_), how);                                                  \
        assert_int_equal(value_, with);                                                            \
        platform_reset(&(m)->platform);                                                            \
        assert_int_equal(ended(m, &value_), MACHINE_RUNS);                                         \
    } while (0)

static void refuses_bad_configurations(void **state)
{
    (void)state;
    struct platform *platform = calloc(1, sizeof(*platform));
    struct platform_config config = {.tsc_hz = NANOSECONDS, .console_output = machine_output};
    assert_non_null(platform);
    assert_int_equal(platform_init(platform, &config), STATUS_INVALID);
    config.console_input = machine_input;
    config.console_output = NULL;
    assert_int_equal(platform_init(platform, &config), STATUS_INVALID);
    config.console_output = machine_output;
    config.tsc_hz = 0;
    assert_int_equal(platform_init(platform, &config), STATUS_INVALID);
    config.tsc_hz = 100000000;
    assert_int_equal(platform_init(platform, &config), STATUS_OK);
    free(platform);
}

static void what_is_not_there_floats(void **state)
{
    struct machine *m = *state;
    static const uint16_t ports[] = {0x00,  0x3f,  0x62,  0x2f8, 0x3c0, 0x3d5, 0x170, 0x1f7,
                                     0xcf7, 0xd00, 0x512, 0xe8,  0x5ff, 0x60c, 0xffff};
    for (size_t i = 0; i < ARRAY_COUNT(ports); i++) {
        out(m, ports[i], 0);
        assert_int_equal(in(m, ports[i]), 0xff);
    }
    assert_int_equal(platform_port_read(&m->platform, 0xcf4, 4), 0xffffffff);
    assert_int_equal(platform_port_read(&m->platform, 0xd00, 2), 0xffff);
}

// A word of PCI configuration space.
static uint32_t config(struct machine *m, uint32_t address, unsigned offset, unsigned size)
{
    platform_port_write(&m->platform, 0xcf8, 4, address);
    return platform_port_read(&m->platform, (uint16_t)(0xcfc + offset), size);
}

static void empty_pci_bus(void **state)
{
    struct machine *m = *state;
    out(m, 0xcfb, 1); // as some systems begin
    assert_int_equal(config(m, 0x80000000, 0, 4), 0x12378086);
    assert_int_equal(platform_port_read(&m->platform, 0xcf8, 4), 0x80000000);
    assert_int_equal(config(m, 0x80000000, 2, 2), 0x1237);
    assert_int_equal(config(m, 0x80000008, 3, 1), 6); // a bridge
    assert_int_equal(config(m, 0x80000008, 2, 2), 0x0600);
    assert_int_equal(config(m, 0x8000000f, 2, 1), 0); // header type; bits 1:0 are the data port's
    assert_int_equal(platform_port_read(&m->platform, 0xcf8, 4), 0x8000000c);
    for (uint32_t function = 1; function <= 0xffff; function++)
        assert_int_equal(config(m, 0x80000000 | function << 8, 0, 4), 0xffffffff);
    assert_int_equal(config(m, 0, 0, 4), 0xffffffff); // not enabled
    (void)config(m, 0x80000004, 0, 2);
    platform_port_write(&m->platform, 0xcfc, 2, 0xffff);
    assert_int_equal(config(m, 0x80000004, 0, 4), 0); // read-only
    platform_reset(&m->platform);
    assert_int_equal(platform_port_read(&m->platform, 0xcf8, 4), 0);
    assert_int_equal(platform_port_read(&m->platform, 0xcf8, 2), 0xffff);
}

static void test_exit(void **state)
{
    struct machine *m = *state;
    out(m, 0xf4, 0x1f);
    ASSERT_ENDED(m, MACHINE_TEST_EXIT, 0x1f);
    platform_port_write(&m->platform, 0xf4, 2, 0x1234);
    ASSERT_ENDED(m, MACHINE_TEST_EXIT, 0x1234);
    platform_port_write(&m->platform, 0xf4, 4, 0x89abcdef);
    out(m, 0xf4, 0x01); // the first report counts
    out(m, 0x64, 0xfe);
    ASSERT_ENDED(m, MACHINE_TEST_EXIT, 0x89abcdef);
    out(m, 0xf5, 0x01);
    out(m, 0xf3, 0x01);
    ASSERT_ENDED(m, MACHINE_RUNS, 0);
    assert_int_equal(in(m, 0xf4), 0);
}

static void shutdown_word(void **state)
{
    struct machine *m = *state;
    for (const char *p = "SSShutdowShutdow"; *p; p++)
        out(m, 0x8900, (uint8_t)*p);
    uint32_t value;
    assert_int_equal(ended(m, &value), MACHINE_RUNS);
    out(m, 0x8900, 'n');
    ASSERT_ENDED(m, MACHINE_POWER_OFF, 0);
}

static void debug_and_post_ports(void **state)
{
    struct machine *m = *state;
    assert_int_equal(in(m, 0xe9), 0xe9);
    out(m, 0xe9, 'h');
    out(m, 0xe9, 'i');
    assert_memory_equal(m->output, "hi", 2);
    assert_int_equal(in(m, 0x80), 0);
    out(m, 0x80, 0x5a);
    assert_int_equal(in(m, 0x80), 0x5a);
}

static void resets(void **state)
{
    struct machine *m = *state;
    uint32_t value;
    out(m, 0x64, 0xff); // pulses nothing
    out(m, 0x92, 0x02);
    out(m, 0xcf9, 0x02);
    assert_int_equal(ended(m, &value), MACHINE_RUNS);
    out(m, 0x64, 0xfe);
    ASSERT_ENDED(m, MACHINE_RESET, 0);
    out(m, 0x92, 0x01);
    ASSERT_ENDED(m, MACHINE_RESET, 0);
    out(m, 0xcf9, 0x06);
    ASSERT_ENDED(m, MACHINE_RESET, 0);
    out(m, 0x64, 0xd1);
    out(m, 0x60, 0x02); // reset line low by the output port
    ASSERT_ENDED(m, MACHINE_RESET, 0);
    platform_port_write(&m->platform, 0xcf8, 4, 0x8000ffff); // a PCI probe, not a reset
    assert_int_equal(ended(m, &value), MACHINE_RUNS);
    assert_int_equal(in(m, 0xcf9), 0);
}

static uint8_t command(struct machine *m, uint8_t byte)
{
    assert_int_equal(in(m, 0x64) & 0x03, 0);
    out(m, 0x64, byte);
    assert_int_equal(in(m, 0x64) & 0x23, 0x01);
    return in(m, 0x60);
}

static void keyboard_controller_commands(void **state)
{
    struct machine *m = *state;
    assert_int_equal(in(m, 0x64), 0x10);
    assert_int_equal(command(m, 0xaa), 0x55);
    assert_int_equal(in(m, 0x64) & 0x04, 0x04);
    assert_int_equal(command(m, 0xab), 0x00);
    assert_int_equal(command(m, 0xa9), 0x01);
    assert_int_equal(command(m, 0x20), 0x34);
    out(m, 0x64, 0x60);
    assert_int_equal(in(m, 0x64) & 0x08, 0x08);
    out(m, 0x60, 0x47);
    assert_int_equal(in(m, 0x64) & 0x08, 0);
    assert_int_equal(command(m, 0x20), 0x47);
    out(m, 0x64, 0xad);
    out(m, 0x64, 0xa7);
    assert_int_equal(command(m, 0x20), 0x77);
    out(m, 0x64, 0xae);
    out(m, 0x64, 0xa8);
    assert_int_equal(command(m, 0x20), 0x47);
    out(m, 0x64, 0x65);
    out(m, 0x60, 0x99);
    assert_int_equal(command(m, 0x25), 0x99);
    assert_int_equal(command(m, 0xd0), 0x03);
    out(m, 0x64, 0xd1);
    out(m, 0x60, 0x01);
    assert_int_equal(in(m, 0x92), 0x00); // A20 off is seen in port A
    out(m, 0x92, 0x02);
    assert_int_equal(command(m, 0xd0), 0x03);
    out(m, 0x64, 0xd3); // auxiliary loop: answered, but not as auxiliary
    out(m, 0x60, 0x5a);
    assert_int_equal(in(m, 0x64) & 0x21, 0x01);
    assert_int_equal(in(m, 0x60), 0x5a);
    out(m, 0x64, 0x12); // no such command
    assert_int_equal(in(m, 0x64) & 0x01, 0);
}

static void absent_keyboard_answers_at_once(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    out(m, 0x60, 0xf2);
    assert_int_equal(in(m, 0x64) & 0x61, 0x41); // time-out
    assert_false(pending(m));
    assert_int_equal(in(m, 0x60), 0xfe);
    assert_int_equal(in(m, 0x64) & 0x41, 0);
    out(m, 0x64, 0x60);
    out(m, 0x60, 0x01); // interrupts on
    out(m, 0x60, 0xff);
    assert_true(pending(m));
    assert_int_equal(acknowledge(m), 0x21);
    in(m, 0x60);
    out(m, 0x20, 0x20);
    assert_false(pending(m));
    out(m, 0x64, 0xd4);
    out(m, 0x60, 0xff);
    assert_int_equal(in(m, 0x64) & 0x61, 0x61);
    assert_false(pending(m));
}

static uint32_t in_sized(struct machine *m, uint16_t port, unsigned size)
{
    return platform_port_read(&m->platform, port, size);
}

static void out_word(struct machine *m, uint16_t port, uint16_t value)
{
    platform_port_write(&m->platform, port, 2, value);
}

static void acpi_power_off(void **state)
{
    struct machine *m = *state;
    uint32_t value;
    assert_int_equal(in_sized(m, 0x604, 2), 0x0001);
    out_word(m, 0x604, 0x1401); // the type alone does nothing
    assert_int_equal(in_sized(m, 0x604, 2), 0x1401);
    out_word(m, 0x604, 0x2001); // a state that is not there
    out_word(m, 0x604, 0x2c01);
    assert_int_equal(ended(m, &value), MACHINE_RUNS);
    out_word(m, 0x604, 0x0000);
    assert_int_equal(in_sized(m, 0x604, 2), 0x0001); // always in ACPI mode
    out_word(m, 0x604, 0x3401);
    ASSERT_ENDED(m, MACHINE_POWER_OFF, 0);
    out(m, 0x605, 0x34); // by the byte
    ASSERT_ENDED(m, MACHINE_POWER_OFF, 0);
}

static void acpi_timer(void **state)
{
    struct machine *m = *state;
    assert_int_equal(in_sized(m, 0x608, 4), 0);
    pass(m, NANOSECONDS);
    assert_int_equal(in_sized(m, 0x608, 4), 3579545);
    platform_port_write(&m->platform, 0x608, 4, 0);
    assert_int_equal(in_sized(m, 0x608, 4), 3579545);
    assert_int_equal(in(m, 0x608), 3579545 & 0xff);
    assert_int_equal(in(m, 0x60a), 3579545 >> 16);
    assert_int_equal(in_sized(m, 0x60a, 2), 3579545 >> 16);
    pass(m, 1199 * NANOSECONDS); // past 2^32
    assert_int_equal(in_sized(m, 0x608, 4), (uint32_t)(1200ull * 3579545));
}

static void acpi_events(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    out_word(m, 0x602, 0xffff);
    assert_int_equal(in_sized(m, 0x602, 2), 0x0721);
    assert_int_equal(in_sized(m, 0x600, 4), 0x07210000);
    uint64_t carry = clock_from_ticks(1ull << 31, 3579545);
    assert_int_equal(platform_next_deadline(&m->platform), START_TSC + carry);
    go_to(m, carry);
    assert_int_equal(acknowledge(m), 0x29);
    assert_int_equal(in_sized(m, 0x600, 2), 0x0001);
    assert_int_equal(platform_next_deadline(&m->platform), 0);
    out_word(m, 0x600, 0x0001);
    assert_int_equal(in_sized(m, 0x600, 2), 0);
    assert_int_equal(platform_next_deadline(&m->platform),
                     START_TSC + clock_from_ticks(1ull << 32, 3579545));
    assert_false(m->platform.acpi_pm.sci.level);
    acpi_pm_press_power_button(&m->platform.acpi_pm);
    assert_true(m->platform.acpi_pm.sci.level);
    assert_int_equal(in(m, 0x601), 0x01);
    out(m, 0x601, 0x01); // by the byte
    assert_false(m->platform.acpi_pm.sci.level);
    out(m, 0x602, 0x00);
    assert_int_equal(in_sized(m, 0x602, 2), 0x0700);
    acpi_pm_press_power_button(&m->platform.acpi_pm);
    out(m, 0x603, 0x00);
    assert_false(m->platform.acpi_pm.sci.level);
    assert_int_equal(in_sized(m, 0x600, 2), 0x0100);
    platform_reset(&m->platform);
    assert_int_equal(in_sized(m, 0x600, 4), 0);
}

static void power_button_without_listener(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    acpi_pm_press_power_button(&m->platform.acpi_pm);
    assert_false(pending(m));
    out_word(m, 0x602, 0x0100);
    assert_int_equal(acknowledge(m), 0x29);
}

static void paused_time_is_not_seen(void **state)
{
    struct machine *m = *state;
    out(m, 0x43, 0x34);
    out(m, 0x40, 0xff);
    out(m, 0x40, 0xff);
    uint64_t deadline = platform_next_deadline(&m->platform);
    pass(m, 1000);
    platform_skip_time(&m->platform, 5 * NANOSECONDS);
    assert_int_equal(in_sized(m, 0x608, 4), 3);
    assert_int_equal(platform_next_deadline(&m->platform), deadline + 5 * NANOSECONDS);
}

static void reset_while_everything_runs(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    out(m, 0x43, 0x34);
    out(m, 0x40, 0x00);
    out(m, 0x40, 0x10);
    out(m, 0x70, 0x0b);
    out(m, 0x71, 0x72);
    out_word(m, 0x602, 0x0001);
    pass(m, NANOSECONDS);
    assert_true(pending(m));
    platform_reset(&m->platform);
    assert_false(pending(m));
    assert_int_equal(platform_next_deadline(&m->platform), 0);
    set_up_pics(m);
    assert_false(pending(m));
    pass(m, NANOSECONDS);
    assert_false(pending(m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_configurations),
        MACHINE_TEST(what_is_not_there_floats),
        MACHINE_TEST(empty_pci_bus),
        MACHINE_TEST(test_exit),
        MACHINE_TEST(shutdown_word),
        MACHINE_TEST(debug_and_post_ports),
        MACHINE_TEST(resets),
        MACHINE_TEST(keyboard_controller_commands),
        MACHINE_TEST(absent_keyboard_answers_at_once),
        MACHINE_TEST(acpi_power_off),
        MACHINE_TEST(acpi_timer),
        MACHINE_TEST(acpi_events),
        MACHINE_TEST(power_button_without_listener),
        MACHINE_TEST(paused_time_is_not_seen),
        MACHINE_TEST(reset_while_everything_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
