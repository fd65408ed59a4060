// SPDX-License-Identifier: MIT
// The 8259A pair. `output` of each chip is recomputed whenever something it depends on changes;
// the slave's output is the level of the master's input 2.
#include "vmm/devices/pic.h"

#include "kernel/lib/string.h"

#define ICW1_INIT   0x10u
#define ICW1_ICW4   0x01u
#define ICW1_SINGLE 0x02u
#define OCW3        0x08u

#define ICW4_AEOI 0x02u
#define ICW4_SFNM 0x10u

#define OCW2_ROTATE   0x80u
#define OCW2_SPECIFIC 0x40u
#define OCW2_EOI      0x20u

#define OCW3_READ_SELECT  0x02u
#define OCW3_READ_ISR     0x01u
#define OCW3_POLL         0x04u
#define OCW3_SET_SPECIAL  0x40u
#define OCW3_SPECIAL_MASK 0x20u

#define CASCADE      2u
#define CASCADE_MASK (1u << CASCADE)
#define SPURIOUS     7u
#define NO_LEVEL     8u
#define NEVER_SET_UP 1u // pic_chip.expected before the first ICW1

// Inputs whose trigger mode software may not change: timer, keyboard, cascade; clock, coprocessor.
#define ELCR_MASTER 0xf8u
#define ELCR_SLAVE  0xdeu

// The bit of highest priority in `bits` as its distance from the top priority; 8: none.
static unsigned rank(const struct pic_chip *chip, unsigned bits)
{
    if (bits == 0)
        return NO_LEVEL;
    unsigned top = (chip->lowest + 1u) & 7;
    unsigned rotated = (bits | bits << 8) >> top & 0xff;
    return (unsigned)__builtin_ctz(rotated);
}

static unsigned input_of_rank(const struct pic_chip *chip, unsigned rank)
{
    return (chip->lowest + 1u + rank) & 7;
}

// The input that the chip asks the processor to serve; NO_LEVEL: none.
static unsigned request(const struct pic_chip *chip, bool master)
{
    unsigned waiting = chip->irr & (uint8_t)~chip->imr;
    if (waiting == 0 || chip->expected != 0)
        return NO_LEVEL;
    unsigned serving = chip->isr;
    if (chip->special_mask)
        serving &= (uint8_t)~chip->imr;
    unsigned first = rank(chip, waiting);
    unsigned limit = rank(chip, serving);
    if (first < limit)
        return input_of_rank(chip, first);
    // Special fully nested mode: the slave may interrupt its own service.
    bool nested = master && chip->icw4 & ICW4_SFNM && first == limit;
    if (nested && input_of_rank(chip, first) == CASCADE)
        return CASCADE;
    return NO_LEVEL;
}

// Level of one input of one chip: an edge or a level makes a request, losing it takes it back.
static void set_input(struct pic_chip *chip, unsigned mask, bool level)
{
    if (!level) {
        chip->lines &= (uint8_t)~mask;
        chip->irr &= (uint8_t)~mask;
    } else {
        if (chip->elcr & mask || !(chip->lines & mask))
            chip->irr |= (uint8_t)mask;
        chip->lines |= (uint8_t)mask;
    }
}

static void update_master(struct pic *pic)
{
    pic->chip[0].output = request(&pic->chip[0], true) != NO_LEVEL;
}

// After a change of the slave. Its output is a request of the master for as long as it is high.
static void update_slave(struct pic *pic)
{
    struct pic_chip *master = &pic->chip[0];
    struct pic_chip *slave = &pic->chip[1];
    slave->output = request(slave, false) != NO_LEVEL;
    if (slave->output) {
        master->lines |= CASCADE_MASK;
        master->irr |= CASCADE_MASK;
    } else {
        master->lines &= (uint8_t)~CASCADE_MASK;
        master->irr &= (uint8_t)~CASCADE_MASK;
    }
    update_master(pic);
}

// After a change of `chip`. The master follows the slave only when its output changed.
static void update(struct pic *pic, struct pic_chip *chip)
{
    if (chip == &pic->chip[0])
        update_master(pic);
    else if (chip->output != (request(chip, false) != NO_LEVEL))
        update_slave(pic);
}

static void pic_set(struct interrupt_controller *controller, unsigned number, bool level)
{
    struct pic *pic = CONTAINER_OF(controller, struct pic, controller);
    struct pic_chip *chip = &pic->chip[number >> 3 & 1];
    set_input(chip, 1u << (number & 7), level);
    update(pic, chip);
}

static bool pic_masked(const struct interrupt_controller *controller, unsigned number)
{
    const struct pic *pic = CONTAINER_OF(controller, const struct pic, controller);
    const struct pic_chip *master = &pic->chip[0];
    const struct pic_chip *chip = &pic->chip[number >> 3 & 1];
    if (chip->expected != 0 || chip->imr >> (number & 7) & 1)
        return true;
    return chip != master && (master->expected != 0 || master->imr & CASCADE_MASK);
}

// Moves the request at `input` to in service, as the acknowledge cycle does.
static void serve(struct pic_chip *chip, unsigned input)
{
    uint8_t mask = (uint8_t)(1u << input);
    if (!(chip->elcr & mask))
        chip->irr &= (uint8_t)~mask;
    if (!(chip->icw4 & ICW4_AEOI))
        chip->isr |= mask;
    else if (chip->rotate_aeoi)
        chip->lowest = (uint8_t)input;
}

uint8_t pic_acknowledge(struct pic *pic, unsigned *irq)
{
    struct pic_chip *master = &pic->chip[0];
    struct pic_chip *slave = &pic->chip[1];
    *irq = 16;
    unsigned input = request(master, true);
    if (input == NO_LEVEL)
        return master->base + SPURIOUS;
    serve(master, input);
    if (input != CASCADE) {
        *irq = input;
        update_master(pic);
        return (uint8_t)(master->base + input);
    }
    input = request(slave, false);
    if (input == NO_LEVEL) {
        update_slave(pic);
        return slave->base + SPURIOUS;
    }
    serve(slave, input);
    *irq = 8 + input;
    update_slave(pic);
    return (uint8_t)(slave->base + input);
}

// End of interrupt for `input`; with `rotate` it becomes the lowest priority.
static void end_of_interrupt(struct pic_chip *chip, unsigned input, bool rotate)
{
    chip->isr &= (uint8_t) ~(1u << input);
    if (rotate)
        chip->lowest = (uint8_t)input;
}

// The input in service that a non-specific EOI ends; NO_LEVEL: none. Masked levels are passed over
// in special mask mode.
static unsigned input_in_service(const struct pic_chip *chip)
{
    unsigned serving = chip->isr;
    if (chip->special_mask)
        serving &= (uint8_t)~chip->imr;
    return serving ? input_of_rank(chip, rank(chip, serving)) : NO_LEVEL;
}

// Operation control word 2: R, SL, EOI in bits 7-5, an input in bits 2-0.
static void write_ocw2(struct pic_chip *chip, uint8_t value)
{
    bool rotate = value & OCW2_ROTATE;
    unsigned input = value & 7;
    if (value & OCW2_EOI) {
        if (!(value & OCW2_SPECIFIC))
            input = input_in_service(chip);
        if (input != NO_LEVEL)
            end_of_interrupt(chip, input, rotate);
    } else if (!(value & OCW2_SPECIFIC)) {
        chip->rotate_aeoi = rotate;
    } else if (rotate) {
        chip->lowest = (uint8_t)input; // set priority; without "rotate" it is no operation
    }
}

static void write_ocw3(struct pic_chip *chip, uint8_t value)
{
    if (value & OCW3_POLL)
        chip->poll = true;
    if (value & OCW3_READ_SELECT)
        chip->read_isr = value & OCW3_READ_ISR;
    if (value & OCW3_SET_SPECIAL)
        chip->special_mask = value & OCW3_SPECIAL_MASK;
}

// Initialisation command word 1: the edge sense is reset, so a high edge input needs a new edge.
// Trigger modes stay with the ELCR, as in a PC.
static void write_icw1(struct pic_chip *chip, uint8_t value)
{
    chip->irr = chip->lines & chip->elcr;
    chip->isr = chip->imr = 0;
    chip->lowest = 7;
    chip->icw4 = 0;
    chip->read_isr = chip->poll = chip->special_mask = chip->rotate_aeoi = false;
    chip->icw1 = value;
    chip->expected = 2;
}

static void write_command(struct pic_chip *chip, uint8_t value)
{
    if (value & ICW1_INIT)
        write_icw1(chip, value);
    else if (value & OCW3)
        write_ocw3(chip, value);
    else
        write_ocw2(chip, value);
}

static void write_data(struct pic_chip *chip, uint8_t value)
{
    if (LIKELY(chip->expected <= NEVER_SET_UP)) {
        chip->imr = value;
        return;
    }
    bool more = chip->icw1 & ICW1_ICW4;
    if (chip->expected == 2) {
        chip->base = value & 0xf8;
        if (!(chip->icw1 & ICW1_SINGLE)) { // else there is no word 3
            chip->expected = 3;
            return;
        }
    } else if (chip->expected == 4) {
        chip->icw4 = value;
        more = false;
    }
    chip->expected = more ? 4 : 0;
}

// A poll: acknowledges like the processor would, and says what it got.
static uint8_t poll(struct pic *pic, struct pic_chip *chip)
{
    chip->poll = false;
    unsigned input = request(chip, chip == &pic->chip[0]);
    if (input == NO_LEVEL)
        return 0;
    serve(chip, input);
    update_slave(pic);
    return (uint8_t)(0x80 | input);
}

static uint64_t pic_read(struct device *device, uint32_t reg, unsigned size)
{
    (void)size;
    struct pic *pic = CONTAINER_OF(device, struct pic, device);
    if (reg >= PIC_ELCR)
        return pic->chip[reg & 1].elcr;
    struct pic_chip *chip = &pic->chip[reg >> 1];
    if (chip->poll)
        return poll(pic, chip);
    if (reg & 1)
        return chip->imr;
    return chip->read_isr ? chip->isr : chip->irr;
}

static void write_elcr(struct pic_chip *chip, uint8_t value)
{
    chip->elcr = value;
    chip->irr |= chip->lines & value; // a level that is there asks at once
}

static void pic_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    (void)size;
    struct pic *pic = CONTAINER_OF(device, struct pic, device);
    struct pic_chip *chip = &pic->chip[reg >= PIC_ELCR ? reg & 1 : reg >> 1];
    if (reg >= PIC_ELCR)
        write_elcr(chip, (uint8_t)value & (reg & 1 ? ELCR_SLAVE : ELCR_MASTER));
    else if (reg & 1)
        write_data(chip, (uint8_t)value);
    else
        write_command(chip, (uint8_t)value);
    if (UNLIKELY(!(reg & 1) && value & ICW1_INIT))
        update_slave(pic); // the master has to see the slave's request anew
    else
        update(pic, chip);
}

static void pic_reset(struct device *device)
{
    struct pic *pic = CONTAINER_OF(device, struct pic, device);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t lines = pic->chip[i].lines; // the devices drive these
        pic->chip[i] = (struct pic_chip){.lines = lines, .lowest = 7, .expected = NEVER_SET_UP};
    }
    update_slave(pic);
}

static const struct device_ops pic_ops = {"pic", pic_read, pic_write, pic_reset};
static const struct interrupt_controller_ops pic_controller_ops = {pic_set, pic_masked};

void pic_init(struct pic *pic)
{
    memset(pic, 0, sizeof(*pic));
    pic->device.ops = &pic_ops;
    pic->controller.ops = &pic_controller_ops;
    pic_reset(&pic->device);
}
