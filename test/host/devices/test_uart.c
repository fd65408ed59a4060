// SPDX-License-Identifier: MIT
// The UART as drivers use it: detection, FIFOs, interrupts, and that no typed byte is lost.
#include "test/host/devices/machine.h"

#define COM1 UART_COM1_PORT
enum { DATA = COM1, IER, IIR, LCR, MCR, LSR, MSR, SCR };
#define FCR IIR

#define CHARACTER 86806u // nanoseconds per byte at 115200 baud, rounded up

static bool irq(const struct machine *m)
{
    return m->platform.uart.irq.level;
}

// As Linux sets the port up: 115200 baud, 8 bits, FIFO with trigger level 8, OUT2.
static void set_up(struct machine *m)
{
    out(m, LCR, 0x83);
    out(m, DATA, 1);
    out(m, IER, 0);
    out(m, LCR, 0x03);
    out(m, FCR, 0x07);
    out(m, FCR, 0x81);
    out(m, MCR, 0x0b);
}

static void power_on_state(void **state)
{
    struct machine *m = *state;
    assert_int_equal(in(m, IER), 0);
    assert_int_equal(in(m, IIR), 0x01);
    assert_int_equal(in(m, LCR), 0);
    assert_int_equal(in(m, MCR), 0);
    assert_int_equal(in(m, LSR), 0x60);
    assert_int_equal(in(m, MSR), 0xb0);
    assert_false(irq(m));
}

static void driver_detection(void **state)
{
    struct machine *m = *state;
    out(m, IER, 0xff);
    assert_int_equal(in(m, IER), 0x0f);
    out(m, IER, 0);
    out(m, SCR, 0xa5);
    assert_int_equal(in(m, SCR), 0xa5);
    out(m, MCR, 0x1a); // loopback with RTS and OUT2
    assert_int_equal(in(m, MSR) & 0xf0, 0x90);
    out(m, MCR, 0x15); // loopback with DTR and OUT1
    assert_int_equal(in(m, MSR) & 0xf0, 0x60);
    out(m, MCR, 0xff);
    assert_int_equal(in(m, MCR), 0x1f);
    out(m, MCR, 0);
    out(m, FCR, 0x01);
    assert_int_equal(in(m, IIR) >> 6, 3); // 16550A
    out(m, FCR, 0x21);
    assert_int_equal(in(m, IIR) >> 5, 6); // not a 16750
    out(m, FCR, 0);
    assert_int_equal(in(m, IIR) >> 6, 0);
    out(m, LCR, 0x80);
    out(m, DATA, 0x34);
    out(m, IER, 0x12);
    assert_int_equal(in(m, DATA), 0x34);
    assert_int_equal(in(m, IER), 0x12);
    out(m, LCR, 0x03);
    assert_int_equal(in(m, IER), 0);
    assert_int_equal(m->output_size, 0);
    out(m, LSR, 0xff); // read-only
    out(m, MSR, 0xff);
    assert_int_equal(in(m, LSR), 0x60);
    assert_int_equal(in(m, MSR) & 0xf0, 0xb0);
}

// The size test: as many bytes come back through the loopback as the FIFO holds.
static void fifo_size_by_loopback(void **state)
{
    struct machine *m = *state;
    for (unsigned fifo = 0; fifo < 2; fifo++) {
        out(m, FCR, fifo ? 0x07 : 0);
        out(m, MCR, 0x10);
        for (unsigned i = 0; i < 256; i++)
            out(m, DATA, (uint8_t)i);
        assert_int_equal(in(m, LSR), 0x63); // overrun, data
        assert_int_equal(in(m, LSR), 0x61); // reading cleared the overrun
        unsigned count = 0;
        uint8_t last = 0;
        for (; in(m, LSR) & 1; count++)
            last = in(m, DATA);
        assert_int_equal(count, fifo ? 16 : 1);
        assert_int_equal(last, fifo ? 15 : 255); // the FIFO keeps the old, the register the new
        out(m, MCR, 0);
    }
    assert_int_equal(m->output_size, 0);
}

static void transmit(void **state)
{
    struct machine *m = *state;
    for (const char *p = "hello"; *p; p++) {
        assert_int_equal(in(m, LSR) & 0x60, 0x60);
        out(m, DATA, (uint8_t)*p);
    }
    platform_port_write(&m->platform, DATA, 2, 0x0021); // '!' to the port, 0 to IER
    assert_int_equal(m->output_size, 6);
    assert_memory_equal(m->output, "hello!", 6);
}

static void transmitter_empty_interrupt(void **state)
{
    struct machine *m = *state;
    set_up(m);
    out(m, IER, 0x02);
    assert_true(irq(m)); // enabling it with the register empty raises it
    assert_int_equal(in(m, IIR), 0xc2);
    assert_false(irq(m)); // reading IIR took it back
    assert_int_equal(in(m, IIR), 0xc1);
    out(m, IER, 0x02); // no change, no interrupt
    assert_false(irq(m));
    out(m, IER, 0);
    out(m, IER, 0x02); // Linux' test for a bug that others have
    assert_int_equal(in(m, IIR), 0xc2);
    out(m, DATA, 'x');
    assert_true(irq(m));
    out(m, IER, 0);
    assert_false(irq(m));
    out(m, IER, 0x02);
    out(m, MCR, 0x03); // OUT2 off disconnects
    assert_false(irq(m));
    assert_int_equal(in(m, IIR), 0xc2);
}

static void receive_interrupts(void **state)
{
    struct machine *m = *state;
    set_up(m);
    type(m, "abc", 3);
    assert_int_equal(m->input_taken, 0); // nobody listens
    assert_false(irq(m));
    out(m, IER, 0x01);
    assert_true(irq(m));
    assert_int_equal(in(m, IIR), 0xcc); // below the trigger level: time-out
    assert_int_equal(in(m, LSR), 0x61);
    assert_int_equal(in(m, DATA), 'a');
    assert_int_equal(in(m, DATA), 'b');
    assert_true(irq(m));
    assert_int_equal(in(m, DATA), 'c');
    assert_false(irq(m));
    assert_int_equal(in(m, IIR), 0xc1);
    assert_int_equal(in(m, LSR), 0x60);
    pass(m, NANOSECONDS);
    type(m, "0123456789", 10);
    assert_int_equal(in(m, IIR), 0xc4);
    in(m, DATA);
    in(m, DATA);
    assert_int_equal(in(m, IIR), 0xc4); // 8 left: the trigger level
    in(m, DATA);
    assert_int_equal(in(m, IIR), 0xcc);
}

static void interrupt_priorities(void **state)
{
    struct machine *m = *state;
    set_up(m);
    type(m, "a", 1);
    out(m, MCR, 0x10); // loopback: modem inputs change
    out(m, MCR, 0x0b);
    out(m, IER, 0x0f);
    m->platform.uart.errors = 0x02;
    assert_int_equal(in(m, IIR), 0xc6);
    in(m, LSR);
    assert_int_equal(in(m, IIR), 0xcc);
    in(m, DATA);
    assert_int_equal(in(m, IIR), 0xc2); // reading it clears it
    assert_int_equal(in(m, IIR), 0xc0);
    assert_true(in(m, MSR) & 0x0f);
    assert_int_equal(in(m, IIR), 0xc1);
    assert_int_equal(in(m, MSR) & 0x0f, 0);
    assert_false(irq(m));
}

static void ring_indicator_counts_its_end(void **state)
{
    struct machine *m = *state;
    out(m, MCR, 0x10);
    in(m, MSR);
    out(m, MCR, 0x14);
    assert_int_equal(in(m, MSR), 0x40);
    out(m, MCR, 0x10);
    assert_int_equal(in(m, MSR), 0x04);
}

// The line carries 16 bytes, then pauses for as long as they would have taken.
static void input_keeps_to_the_line_rate(void **state)
{
    struct machine *m = *state;
    char text[40];
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)i;
    set_up(m);
    out(m, IER, 0x01);
    type(m, text, sizeof(text));
    assert_int_equal(m->input_taken, 16);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(in(m, DATA), i);
    assert_int_equal(in(m, LSR) & 1, 0);
    assert_false(irq(m));
    uint64_t deadline = platform_next_deadline(&m->platform);
    assert_in_range(deadline, START_TSC + 15 * CHARACTER, START_TSC + 16 * CHARACTER);
    pass(m, 15 * CHARACTER);
    assert_false(irq(m));
    pass(m, CHARACTER);
    assert_true(irq(m));
    for (unsigned i = 16; i < 32; i++)
        assert_int_equal(in(m, DATA), i);
    pass(m, 16 * CHARACTER);
    for (unsigned i = 32; i < 40; i++)
        assert_int_equal(in(m, DATA), i);
    assert_false(irq(m));
    assert_int_equal(m->input_taken, 40);
}

static void polling_guests_are_fed(void **state)
{
    struct machine *m = *state;
    set_up(m);
    type(m, "xy", 2);
    in(m, LSR);
    in(m, LSR);
    in(m, SCR); // interrupts the row
    in(m, LSR);
    assert_int_equal(in(m, LSR), 0x60);
    assert_int_equal(in(m, LSR), 0x61);
    assert_int_equal(in(m, DATA), 'x');
    assert_int_equal(in(m, LSR), 0x61);
    assert_int_equal(in(m, DATA), 'y');
    assert_int_equal(in(m, LSR), 0x60);
}

static void transmit_polls_do_not_count_as_listening(void **state)
{
    struct machine *m = *state;
    set_up(m);
    type(m, "x", 1);
    for (unsigned i = 0; i < 10; i++) {
        in(m, LSR);
        in(m, LSR);
        out(m, DATA, '.');
    }
    assert_int_equal(m->input_taken, 0);
}

static void fifo_resets_lose_nothing(void **state)
{
    struct machine *m = *state;
    static const char text[] = "0123456789abcdefghij";
    set_up(m);
    out(m, IER, 0x01);
    type(m, text, 20);
    assert_int_equal(in(m, DATA), '0');
    out(m, IER, 0); // as a driver closes and reopens the port
    out(m, FCR, 0x07);
    assert_int_equal(in(m, LSR), 0x60);
    assert_int_equal(in(m, IIR), 0xc1);
    out(m, FCR, 0x00);
    out(m, MCR, 0x1b);
    for (unsigned i = 0; i < 20; i++)
        out(m, DATA, 'z');
    out(m, FCR, 0x01);
    out(m, FCR, 0x07);
    out(m, MCR, 0x0b);
    assert_int_equal(in(m, LSR) & 1, 0);
    pass(m, NANOSECONDS);
    out(m, IER, 0x01);
    for (unsigned i = 1; i < 20; i++) {
        assert_int_equal(in(m, DATA), text[i]);
        pass(m, 16 * CHARACTER);
    }
    assert_int_equal(in(m, LSR), 0x60);
}

static void handed_back_bytes_keep_their_order(void **state)
{
    struct machine *m = *state;
    static const char text[] = "0123456789abcdefghij";
    set_up(m);
    out(m, IER, 0x01);
    type(m, text, 20);
    out(m, FCR, 0x00); // all 16 go back, one comes in again
    pass(m, 16 * CHARACTER);
    assert_int_equal(m->platform.uart.rx_count, 1);
    assert_int_equal(m->platform.uart.held_count, 15);
    out(m, FCR, 0x81); // it goes back before the others
    for (unsigned i = 0; i < 20; i++) {
        pass(m, 16 * CHARACTER);
        assert_int_equal(in(m, DATA), text[i]);
    }
    assert_int_equal(in(m, LSR), 0x60);
}

static void loopback_disconnects_the_interrupt(void **state)
{
    struct machine *m = *state;
    set_up(m);
    out(m, IER, 0x02);
    assert_true(irq(m));
    out(m, MCR, 0x1b);
    assert_false(irq(m));
    assert_int_equal(in(m, IIR), 0xc2); // but it is there
}

static void without_fifo_one_byte_at_a_time(void **state)
{
    struct machine *m = *state;
    set_up(m);
    out(m, FCR, 0);
    out(m, IER, 0x01);
    type(m, "abc", 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(m->input_taken, i + 1);
        assert_int_equal(in(m, IIR), 0x04);
        assert_int_equal(in(m, DATA), "abc"[i]);
        pass(m, CHARACTER);
    }
    assert_int_equal(in(m, IIR), 0x01);
}

static void machine_reset_keeps_typed_bytes(void **state)
{
    struct machine *m = *state;
    set_up(m);
    out(m, IER, 0x01);
    type(m, "keep", 4);
    assert_true(irq(m));
    platform_reset(&m->platform);
    power_on_state(state);
    pass(m, NANOSECONDS);
    set_up(m);
    out(m, IER, 0x01);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(in(m, DATA), "keep"[i]);
}

static void slow_lines_are_not_too_slow(void **state)
{
    struct machine *m = *state;
    static const uint16_t divisors[] = {0, 0xffff, 384};
    for (size_t i = 0; i < ARRAY_COUNT(divisors); i++) {
        out(m, LCR, 0x83);
        out(m, DATA, (uint8_t)divisors[i]);
        out(m, IER, (uint8_t)(divisors[i] >> 8));
        out(m, LCR, 0x03);
        out(m, IER, 1);
        pass(m, NANOSECONDS);
        type(m, "ab", 2);
        assert_int_equal(in(m, DATA), 'a');
        pass(m, 13 * CHARACTER);
        assert_int_equal(in(m, DATA), 'b');
        out(m, IER, 0);
    }
}

static void interrupt_reaches_the_controller(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    set_up(m);
    out(m, IER, 0x03);
    assert_true(pending(m));
    assert_int_equal(acknowledge(m), 0x24);
    assert_int_equal(in(m, IIR), 0xc2);
    out(m, 0x20, 0x20);
    assert_false(pending(m));
    type(m, "q", 1); // a new edge
    assert_true(pending(m));
    assert_int_equal(acknowledge(m), 0x24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(power_on_state),
        MACHINE_TEST(driver_detection),
        MACHINE_TEST(fifo_size_by_loopback),
        MACHINE_TEST(transmit),
        MACHINE_TEST(transmitter_empty_interrupt),
        MACHINE_TEST(receive_interrupts),
        MACHINE_TEST(interrupt_priorities),
        MACHINE_TEST(ring_indicator_counts_its_end),
        MACHINE_TEST(input_keeps_to_the_line_rate),
        MACHINE_TEST(polling_guests_are_fed),
        MACHINE_TEST(transmit_polls_do_not_count_as_listening),
        MACHINE_TEST(fifo_resets_lose_nothing),
        MACHINE_TEST(handed_back_bytes_keep_their_order),
        MACHINE_TEST(loopback_disconnects_the_interrupt),
        MACHINE_TEST(without_fifo_one_byte_at_a_time),
        MACHINE_TEST(machine_reset_keeps_typed_bytes),
        MACHINE_TEST(slow_lines_are_not_too_slow),
        MACHINE_TEST(interrupt_reaches_the_controller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
