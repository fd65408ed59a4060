// SPDX-License-Identifier: MIT
// The 8042 without a keyboard, system control port A, and the reset control register.
#include "vmm/devices/keyboard_controller.h"

#include "kernel/lib/compiler.h"

#define STATUS_OUTPUT_FULL 0x01u
#define STATUS_SYSTEM      0x04u
#define STATUS_COMMAND     0x08u
#define STATUS_UNLOCKED    0x10u
#define STATUS_AUXILIARY   0x20u
#define STATUS_TIMEOUT     0x40u
#define STATUS_STORED      (STATUS_OUTPUT_FULL | STATUS_COMMAND | STATUS_AUXILIARY | STATUS_TIMEOUT)

#define COMMAND_BYTE_IRQ     0x01u
#define COMMAND_BYTE_SYSTEM  0x04u
#define COMMAND_BYTE_NO_KBD  0x10u
#define COMMAND_BYTE_NO_AUX  0x20u
#define COMMAND_BYTE_DEFAULT 0x30u // both interfaces off until somebody wants them

#define OUTPUT_PORT_RUN 0x01u // 0: the processor is held in reset
#define OUTPUT_PORT_A20 0x02u

#define PORT_A_RESET 0x01u
#define PORT_A_A20   0x02u

#define RESET_CPU  0x04u
#define RESET_KEPT 0x0eu

#define NO_ANSWER 0xfeu // what the controller makes of a keyboard that does not answer

// Puts a byte into the output buffer; `flags` says where it is from.
static void answer(struct keyboard_controller *kbc, uint8_t byte, unsigned flags)
{
    kbc->output = byte;
    kbc->flags &= (uint8_t) ~(STATUS_AUXILIARY | STATUS_TIMEOUT);
    kbc->flags |= (uint8_t)(STATUS_OUTPUT_FULL | flags);
}

static void update_irq(struct keyboard_controller *kbc)
{
    bool full = (kbc->flags & (STATUS_OUTPUT_FULL | STATUS_AUXILIARY)) == STATUS_OUTPUT_FULL;
    interrupt_line_set(&kbc->irq, full && kbc->command_byte & COMMAND_BYTE_IRQ);
}

static void reset_machine(struct keyboard_controller *kbc)
{
    machine_control_end(kbc->control, MACHINE_RESET, 0);
}

static void set_output_port(struct keyboard_controller *kbc, uint8_t value)
{
    kbc->output_port = value;
    if (!(value & OUTPUT_PORT_RUN))
        reset_machine(kbc);
}

// Commands that are a group of 16 or 32 codes; false: not one of them.
static bool group_command(struct keyboard_controller *kbc, uint8_t command)
{
    uint8_t place = command & 0x1f;
    if (command >= 0xf0) { // pulse the output port's bits that are 0 in the command
        if (!(command & OUTPUT_PORT_RUN))
            reset_machine(kbc);
        return true;
    }
    if ((command & 0xe0) == 0x20) {
        answer(kbc, place ? kbc->ram[place] : kbc->command_byte, 0);
        return true;
    }
    if ((command & 0xe0) == 0x60) {
        kbc->pending = command;
        return true;
    }
    return false;
}

static void write_command(struct keyboard_controller *kbc, uint8_t command)
{
    kbc->flags |= STATUS_COMMAND;
    kbc->pending = 0;
    if (group_command(kbc, command))
        return;
    switch (command) {
    case 0xa4: // is a password set
        answer(kbc, 0xf1, 0);
        break;
    case 0xa7:
        kbc->command_byte |= COMMAND_BYTE_NO_AUX;
        break;
    case 0xa8:
        kbc->command_byte &= (uint8_t)~COMMAND_BYTE_NO_AUX;
        break;
    case 0xa9: // test the auxiliary interface: clock line stuck
        answer(kbc, 0x01, 0);
        break;
    case 0xaa: // self-test
        kbc->command_byte = COMMAND_BYTE_DEFAULT | COMMAND_BYTE_SYSTEM;
        answer(kbc, 0x55, 0);
        break;
    case 0xab: // test the keyboard interface: in order
        answer(kbc, 0x00, 0);
        break;
    case 0xad:
        kbc->command_byte |= COMMAND_BYTE_NO_KBD;
        break;
    case 0xae:
        kbc->command_byte &= (uint8_t)~COMMAND_BYTE_NO_KBD;
        break;
    case 0xc0: // input port: keyboard not inhibited
        answer(kbc, 0x80, 0);
        break;
    case 0xd0:
        answer(kbc, kbc->output_port, 0);
        break;
    case 0xd1: // output port, output buffer, auxiliary buffer, auxiliary device: data follows
    case 0xd2:
    case 0xd3:
    case 0xd4:
        kbc->pending = command;
        break;
    case 0xe0: // test inputs
        answer(kbc, 0x00, 0);
        break;
    default: // no such command
        break;
    }
}

static void write_data(struct keyboard_controller *kbc, uint8_t value)
{
    uint8_t command = kbc->pending;
    kbc->pending = 0;
    kbc->flags &= (uint8_t)~STATUS_COMMAND;
    switch (command) {
    case 0x60:
        kbc->command_byte = value;
        break;
    case 0xd1:
        set_output_port(kbc, value);
        break;
    case 0xd2:
    case 0xd3: // comes back without the auxiliary flag: there is no auxiliary port
        answer(kbc, value, 0);
        break;
    case 0xd4:
        answer(kbc, NO_ANSWER, STATUS_AUXILIARY | STATUS_TIMEOUT);
        break;
    case 0: // for the keyboard, which is not there
        kbc->command_byte &= (uint8_t)~COMMAND_BYTE_NO_KBD;
        answer(kbc, NO_ANSWER, STATUS_TIMEOUT);
        break;
    default: // 0x61-0x7f
        kbc->ram[command & 0x1f] = value;
        break;
    }
}

static uint8_t read_data(struct keyboard_controller *kbc)
{
    kbc->flags &= (uint8_t) ~(STATUS_OUTPUT_FULL | STATUS_AUXILIARY | STATUS_TIMEOUT);
    return kbc->output;
}

static void write_port_a(struct keyboard_controller *kbc, uint8_t value)
{
    kbc->output_port &= (uint8_t)~OUTPUT_PORT_A20;
    if (value & PORT_A_A20)
        kbc->output_port |= OUTPUT_PORT_A20;
    if (value & PORT_A_RESET)
        reset_machine(kbc);
}

static void write_reset_control(struct keyboard_controller *kbc, uint8_t value)
{
    if (value & RESET_CPU)
        reset_machine(kbc);
    kbc->reset_control = value & RESET_KEPT;
}

static uint64_t keyboard_controller_read(struct device *device, uint32_t reg, unsigned size)
{
    (void)size;
    struct keyboard_controller *kbc = CONTAINER_OF(device, struct keyboard_controller, device);
    uint8_t value;
    switch (reg) {
    case KBC_DATA:
        value = read_data(kbc);
        update_irq(kbc);
        return value;
    case KBC_COMMAND:
        value = kbc->command_byte & COMMAND_BYTE_SYSTEM ? STATUS_SYSTEM : 0;
        return value | STATUS_UNLOCKED | (kbc->flags & STATUS_STORED);
    case KBC_PORT_A:
        return kbc->output_port & OUTPUT_PORT_A20 ? PORT_A_A20 : 0;
    default:
        return kbc->reset_control;
    }
}

static void keyboard_controller_write(struct device *device, uint32_t reg, unsigned size,
                                      uint64_t value)
{
    (void)size;
    struct keyboard_controller *kbc = CONTAINER_OF(device, struct keyboard_controller, device);
    switch (reg) {
    case KBC_DATA:
        write_data(kbc, (uint8_t)value);
        break;
    case KBC_COMMAND:
        write_command(kbc, (uint8_t)value);
        break;
    case KBC_PORT_A:
        write_port_a(kbc, (uint8_t)value);
        break;
    default:
        write_reset_control(kbc, (uint8_t)value);
        break;
    }
    update_irq(kbc);
}

static void keyboard_controller_reset(struct device *device)
{
    struct keyboard_controller *kbc = CONTAINER_OF(device, struct keyboard_controller, device);
    kbc->command_byte = COMMAND_BYTE_DEFAULT;
    kbc->pending = kbc->output = kbc->flags = kbc->reset_control = 0;
    kbc->output_port = OUTPUT_PORT_RUN | OUTPUT_PORT_A20;
    for (unsigned i = 0; i < sizeof(kbc->ram); i++)
        kbc->ram[i] = 0;
    interrupt_line_set(&kbc->irq, false);
}

static const struct device_ops keyboard_controller_ops = {
    "keyboard controller",
    keyboard_controller_read,
    keyboard_controller_write,
    keyboard_controller_reset,
};

void keyboard_controller_init(struct keyboard_controller *kbc, struct machine_control *control)
{
    *kbc = (struct keyboard_controller){.device = {&keyboard_controller_ops}, .control = control};
    keyboard_controller_reset(&kbc->device);
}
