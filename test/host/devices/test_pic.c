// SPDX-License-Identifier: MIT
// The interrupt controllers through their ports and inputs.
#include "test/host/devices/machine.h"

#define MASTER 0x20
#define SLAVE  0xa0
#define EOI    0x20

static uint8_t isr(struct machine *m, uint16_t chip)
{
    out(m, chip, 0x0b);
    return in(m, chip);
}

static uint8_t irr(struct machine *m, uint16_t chip)
{
    out(m, chip, 0x0a);
    return in(m, chip);
}

static void pulse(struct machine *m, unsigned irq)
{
    drive(m, irq, false);
    drive(m, irq, true);
}

static void silent_until_initialised(void **state)
{
    struct machine *m = *state;
    for (unsigned i = 0; i < 16; i++)
        if (i != 2)
            pulse(m, i);
    assert_false(pending(m));
    out(m, MASTER, 0x11);
    out(m, MASTER + 1, 0x20);
    out(m, MASTER + 1, 0x04);
    pulse(m, 1);
    assert_false(pending(m)); // one word is still missing
    out(m, MASTER + 1, 0x01);
    assert_true(pending(m));
    assert_int_equal(acknowledge(m), 0x21);
    out(m, MASTER, EOI);
    assert_false(pending(m)); // ICW1 forgot the earlier edges
}

static void initialisation_word_counts(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    out(m, MASTER, 0x10); // no word 4
    out(m, MASTER + 1, 0x40);
    out(m, MASTER + 1, 0x04);
    out(m, MASTER + 1, 0xaa); // a mask already
    assert_int_equal(in(m, MASTER + 1), 0xaa);
    out(m, MASTER, 0x12); // single: no word 3 either
    out(m, MASTER + 1, 0x47);
    assert_int_equal(in(m, MASTER + 1), 0x00); // ICW1 opened the mask
    out(m, MASTER + 1, 0x55);
    assert_int_equal(in(m, MASTER + 1), 0x55);
    pulse(m, 1);
    assert_int_equal(acknowledge(m), 0x41); // low bits of word 2 do not count
    out(m, MASTER, 0x13);                   // single, with word 4
    out(m, MASTER + 1, 0x48);
    out(m, MASTER + 1, 0x03); // automatic end of interrupt
    pulse(m, 1);
    assert_int_equal(acknowledge(m), 0x49);
    assert_int_equal(isr(m, MASTER), 0);
}

static void every_input_has_its_vector(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    for (unsigned i = 0; i < 16; i++) {
        if (i == 2)
            continue;
        pulse(m, i);
        assert_true(pending(m));
        assert_int_equal(acknowledge(m), 0x20 + i);
        assert_false(pending(m));
        assert_int_equal(isr(m, MASTER), i < 8 ? 1 << i : 4);
        assert_int_equal(isr(m, SLAVE), i < 8 ? 0 : 1 << (i - 8));
        if (i >= 8)
            out(m, SLAVE, EOI);
        out(m, MASTER, EOI);
        assert_int_equal(isr(m, MASTER) | isr(m, SLAVE), 0);
    }
}

static void masks_hold_requests_back(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    struct interrupt_controller *controller = &m->platform.pic.controller;
    out(m, MASTER + 1, 0x10);
    pulse(m, 4);
    assert_false(pending(m));
    assert_true(controller->ops->masked(controller, 4));
    assert_false(controller->ops->masked(controller, 5));
    assert_int_equal(irr(m, MASTER), 0x10);
    out(m, MASTER + 1, 0x00);
    assert_true(pending(m));
    out(m, MASTER + 1, 0x10);
    assert_false(pending(m));
    drive(m, 4, false); // gone before anybody took it
    out(m, MASTER + 1, 0x00);
    assert_false(pending(m));
    out(m, MASTER + 1, 0x04); // the cascade
    pulse(m, 12);
    assert_false(pending(m));
    assert_true(controller->ops->masked(controller, 12));
    out(m, MASTER + 1, 0x00);
    assert_int_equal(acknowledge(m), 0x2c);
}

static void nested_priorities(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    pulse(m, 4);
    assert_int_equal(acknowledge(m), 0x24);
    pulse(m, 5);
    assert_false(pending(m)); // lower
    pulse(m, 1);
    assert_int_equal(acknowledge(m), 0x21); // higher
    assert_int_equal(isr(m, MASTER), 0x12);
    out(m, MASTER, EOI); // ends 1
    assert_int_equal(isr(m, MASTER), 0x10);
    assert_false(pending(m));
    out(m, MASTER, EOI);
    assert_int_equal(acknowledge(m), 0x25);
    pulse(m, 10); // the slave is at input 2, above 5
    assert_int_equal(acknowledge(m), 0x2a);
    pulse(m, 9);
    assert_false(pending(m)); // input 2 is in service: not in plain nested mode
    out(m, SLAVE, 0x62);      // specific: 10
    assert_false(pending(m));
    out(m, MASTER, 0x62);
    assert_int_equal(acknowledge(m), 0x29);
}

static void special_fully_nested_mode(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    out(m, MASTER, 0x11);
    out(m, MASTER + 1, 0x20);
    out(m, MASTER + 1, 0x04);
    out(m, MASTER + 1, 0x11);
    pulse(m, 10);
    assert_int_equal(acknowledge(m), 0x2a);
    pulse(m, 11);
    assert_false(pending(m));
    pulse(m, 9);
    assert_true(pending(m)); // a higher one of the same slave
    assert_int_equal(acknowledge(m), 0x29);
    pulse(m, 3);
    assert_false(pending(m)); // but nothing below input 2
}

static void rotation(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    out(m, MASTER, 0xc3); // set priority: 3 lowest, 4 highest
    pulse(m, 1);
    pulse(m, 4);
    assert_int_equal(acknowledge(m), 0x24);
    assert_false(pending(m));
    out(m, MASTER, 0xa0); // rotate on non-specific EOI: 4 lowest
    assert_int_equal(acknowledge(m), 0x21);
    out(m, MASTER, 0xe1); // rotate on specific EOI: 1 lowest
    pulse(m, 0);
    pulse(m, 3);
    assert_int_equal(acknowledge(m), 0x23);
    out(m, MASTER, EOI);
    assert_int_equal(acknowledge(m), 0x20);
}

static void automatic_end_of_interrupt(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    out(m, MASTER, 0x11);
    out(m, MASTER + 1, 0x20);
    out(m, MASTER + 1, 0x04);
    out(m, MASTER + 1, 0x03);
    pulse(m, 4);
    pulse(m, 1);
    assert_int_equal(acknowledge(m), 0x21);
    assert_int_equal(isr(m, MASTER), 0);
    assert_int_equal(acknowledge(m), 0x24);
    out(m, MASTER, 0x80); // rotate in automatic EOI mode
    pulse(m, 4);
    assert_int_equal(acknowledge(m), 0x24);
    pulse(m, 4);
    pulse(m, 6);
    assert_int_equal(acknowledge(m), 0x26); // 4 is the lowest now
    out(m, MASTER, 0x00);
    assert_int_equal(acknowledge(m), 0x24);
    pulse(m, 6);
    pulse(m, 1);
    assert_int_equal(acknowledge(m), 0x21); // 6 stayed lowest
}

static void special_mask_mode(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    pulse(m, 1);
    assert_int_equal(acknowledge(m), 0x21);
    pulse(m, 4);
    assert_false(pending(m));
    out(m, MASTER + 1, 0x02);
    assert_false(pending(m));
    out(m, MASTER, 0x68); // masking a level in service lets lower ones through
    assert_true(pending(m));
    assert_int_equal(acknowledge(m), 0x24);
    out(m, MASTER, EOI); // does not end the masked level
    assert_int_equal(isr(m, MASTER), 0x02);
    out(m, MASTER, 0x61);
    assert_int_equal(isr(m, MASTER), 0);
    out(m, MASTER, 0x48);
    assert_false(m->platform.pic.chip[0].special_mask);
}

static void polling(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    out(m, MASTER, 0x0c);
    assert_int_equal(in(m, MASTER), 0x00);
    pulse(m, 5);
    out(m, MASTER, 0x0c);
    assert_int_equal(in(m, MASTER), 0x85);
    assert_false(pending(m));
    assert_int_equal(isr(m, MASTER), 0x20);
    out(m, MASTER, EOI);
    pulse(m, 12);
    out(m, MASTER, 0x0c);
    assert_int_equal(in(m, MASTER + 1), 0x82); // either port answers
    out(m, SLAVE, 0x0c);
    assert_int_equal(in(m, SLAVE), 0x84);
    out(m, SLAVE, EOI);
    out(m, MASTER, EOI);
    assert_false(pending(m));
    assert_int_equal(irr(m, MASTER), 0);
}

static void spurious_interrupts(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    pulse(m, 3);
    assert_true(pending(m));
    drive(m, 3, false);
    assert_int_equal(acknowledge(m), 0x27); // default: input 7, not in service
    assert_int_equal(isr(m, MASTER), 0);
    // A slave that has nothing left when it is asked answers with its input 7.
    struct pic_chip *slave = &m->platform.pic.chip[1];
    pulse(m, 11);
    slave->irr = 0;
    assert_int_equal(acknowledge(m), 0x2f);
    assert_int_equal(isr(m, SLAVE), 0);
    assert_int_equal(isr(m, MASTER), 0x04); // the master does not know
    assert_false(pending(m));
}

static void edges_and_levels(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    drive(m, 5, true);
    assert_int_equal(acknowledge(m), 0x25);
    out(m, MASTER, EOI);
    assert_false(pending(m)); // still high, but no new edge
    drive(m, 5, true);
    assert_false(pending(m));
    drive(m, 5, false);
    out(m, 0x4d0, 0xff);
    out(m, 0x4d1, 0xff);
    assert_int_equal(in(m, 0x4d0), 0xf8); // 0-2 are always edges
    assert_int_equal(in(m, 0x4d1), 0xde); // so are 8 and 13
    drive(m, 5, true);
    assert_int_equal(acknowledge(m), 0x25);
    assert_false(pending(m));
    out(m, MASTER, EOI);
    assert_true(pending(m)); // a level asks until it goes
    drive(m, 5, false);
    assert_false(pending(m));
    drive(m, 9, true);
    assert_int_equal(acknowledge(m), 0x29);
    out(m, SLAVE, EOI);
    out(m, MASTER, EOI);
    assert_int_equal(acknowledge(m), 0x29);
    drive(m, 9, false);
    out(m, SLAVE, EOI);
    out(m, MASTER, EOI);
    assert_false(pending(m));
    out(m, 0x4d0, 0);
    drive(m, 6, true);
    out(m, MASTER + 1, 0x40);
    assert_false(pending(m));
    out(m, MASTER + 1, 0);
    assert_true(pending(m));
}

static void level_mode_sees_a_line_that_is_up(void **state)
{
    struct machine *m = *state;
    drive(m, 9, true); // before initialisation
    set_up_pics(m);
    assert_false(pending(m));
    out(m, 0x4d1, 0x02);
    assert_true(pending(m));
    assert_int_equal(acknowledge(m), 0x29);
}

// Setting up only the master again must not lose a request of the slave.
static void cascade_survives_initialisation(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    pulse(m, 14);
    assert_true(pending(m));
    out(m, MASTER, 0x11);
    assert_false(pending(m));
    out(m, MASTER + 1, 0x30);
    out(m, MASTER + 1, 0x04);
    out(m, MASTER + 1, 0x01);
    assert_true(pending(m));
    assert_int_equal(acknowledge(m), 0x2e);
    out(m, SLAVE, EOI);
    pulse(m, 8);
    assert_false(pending(m));
    out(m, MASTER, EOI);
    assert_true(pending(m));
}

static void reset_closes_everything(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    out(m, 0x4d1, 0x02);
    pulse(m, 4);
    pulse(m, 9);
    platform_reset(&m->platform);
    assert_false(pending(m));
    assert_int_equal(in(m, 0x4d1), 0);
    pulse(m, 4);
    assert_false(pending(m));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(silent_until_initialised),
        MACHINE_TEST(initialisation_word_counts),
        MACHINE_TEST(every_input_has_its_vector),
        MACHINE_TEST(masks_hold_requests_back),
        MACHINE_TEST(nested_priorities),
        MACHINE_TEST(special_fully_nested_mode),
        MACHINE_TEST(rotation),
        MACHINE_TEST(automatic_end_of_interrupt),
        MACHINE_TEST(special_mask_mode),
        MACHINE_TEST(polling),
        MACHINE_TEST(spurious_interrupts),
        MACHINE_TEST(edges_and_levels),
        MACHINE_TEST(level_mode_sees_a_line_that_is_up),
        MACHINE_TEST(cascade_survives_initialisation),
        MACHINE_TEST(reset_closes_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
