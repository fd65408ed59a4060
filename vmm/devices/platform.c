// SPDX-License-Identifier: MIT
// The wiring of the machine, top to bottom: every device, its interrupt input and its ports. No
// display, no DMA controller: their ports float. PCI is a host bridge alone.
#include "vmm/devices/platform.h"

#include <stddef.h>
#include "kernel/lib/string.h"

#define IRQ_TIMER    0u
#define IRQ_KEYBOARD 1u
#define IRQ_RTC      8u
#define TIMER_PIN    2u

#define ISA_INTERRUPTS 16u
#define PIC_CASCADE    2u

struct wire {
    struct interrupt_line *line;
    unsigned irq;
};

struct attachment {
    struct device *device;
    uint16_t first, last, reg;
    uint8_t widths;
};

static enum status init_devices(struct platform *platform, const struct platform_config *config)
{
    const struct uart_host host = {config->context, config->console_output, config->console_input};
    struct clock *clock = &platform->clock;
    struct machine_control *control = &platform->control;
    pic_init(&platform->pic);
    keyboard_controller_init(&platform->keyboard, control);
    test_ports_init(&platform->test_ports, control, config->context, config->console_output);
    test_device_init(&platform->test_device);
    fw_cfg_init(&platform->fw_cfg, config->memory_bytes,
                config->processors > 0 ? config->processors : 1);
    pci_host_init(&platform->pci, &platform->keyboard.device, KBC_RESET);
    enum status status = uart_init(&platform->uart, clock, &host);
    if (status == STATUS_OK)
        status = pit_init(&platform->pit, clock);
    if (status == STATUS_OK)
        status = rtc_init(&platform->rtc, clock, config->start_time, config->memory_bytes);
    if (status == STATUS_OK)
        status = acpi_pm_init(&platform->acpi_pm, clock, control);
    return status;
}

// -- ISA interrupts at both controllers: IRQ 0 is input 2 of the I/O APIC, the others are equal --

static unsigned pin_of(unsigned irq)
{
    return irq == IRQ_TIMER ? TIMER_PIN : irq;
}

static void isa_set(struct interrupt_controller *controller, unsigned number, bool level)
{
    struct platform *platform = CONTAINER_OF(controller, struct platform, isa);
    struct interrupt_controller *pic = &platform->pic.controller;
    struct interrupt_controller *io_apic = &platform->io_apic.controller;
    pic->ops->set(pic, number, level);
    io_apic->ops->set(io_apic, pin_of(number), level);
}

static bool isa_masked(const struct interrupt_controller *controller, unsigned number)
{
    const struct platform *platform = CONTAINER_OF(controller, const struct platform, isa);
    const struct interrupt_controller *pic = &platform->pic.controller;
    const struct interrupt_controller *io_apic = &platform->io_apic.controller;
    return pic->ops->masked(pic, number) && io_apic->ops->masked(io_apic, pin_of(number));
}

static const struct interrupt_controller_ops isa_ops = {isa_set, isa_masked};

// A line that a device of the machine drives too has the level that was set last. Input 2 of the
// PIC is its cascade.
static void connect_test_lines(struct platform *platform, struct interrupt_controller *isa)
{
    for (unsigned i = 0; i < TEST_DEVICE_LINES; i++) {
        struct interrupt_line *line = &platform->test_device.line[i];
        if (i < ISA_INTERRUPTS && i != PIC_CASCADE)
            interrupt_line_connect(line, isa, i);
        else if (i >= ISA_INTERRUPTS && platform->processors > 0)
            interrupt_line_connect(line, &platform->io_apic.controller, i);
    }
}

static void connect_interrupts(struct platform *platform)
{
    struct interrupt_controller *controller =
        platform->processors > 0 ? &platform->isa : &platform->pic.controller;
    const struct wire wires[] = {
        {&platform->pit.irq, IRQ_TIMER},        {&platform->keyboard.irq, IRQ_KEYBOARD},
        {&platform->uart.irq, UART_COM1_IRQ},   {&platform->rtc.irq, IRQ_RTC},
        {&platform->acpi_pm.sci, ACPI_SCI_IRQ},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(wires); i++)
        interrupt_line_connect(wires[i].line, controller, wires[i].irq);
    connect_test_lines(platform, controller);
}

static enum status attach_ports(struct platform *platform)
{
    struct device *pic = &platform->pic.device;
    struct device *pit = &platform->pit.device;
    struct device *keyboard = &platform->keyboard.device;
    struct device *test = &platform->test_ports.device;
    struct device *exercise = &platform->test_device.ports;
    struct device *pm = &platform->acpi_pm.device;
    const struct attachment attachments[] = {
        {pic, 0x20, 0x21, PIC_MASTER, BUS_BYTE},
        {pit, 0x40, 0x43, 0, BUS_BYTE},
        {keyboard, 0x60, 0x60, KBC_DATA, BUS_BYTE},
        {pit, 0x61, 0x61, PIT_PORT_B, BUS_BYTE},
        {keyboard, 0x64, 0x64, KBC_COMMAND, BUS_BYTE},
        {&platform->rtc.device, 0x70, 0x71, 0, BUS_BYTE},
        {test, 0x80, 0x80, TEST_PORT_POST, BUS_BYTE},
        {keyboard, 0x92, 0x92, KBC_PORT_A, BUS_BYTE},
        {pic, 0xa0, 0xa1, PIC_SLAVE, BUS_BYTE},
        {exercise, TEST_DEVICE_PORT, TEST_DEVICE_PORT + 3, TEST_DEVICE_LATCH,
         BUS_BYTE | BUS_WORD | BUS_DWORD},
        {exercise, TEST_DEVICE_PORT + 4, TEST_DEVICE_PORT + 7, TEST_DEVICE_FLUSH, BUS_DWORD},
        {test, 0xe9, 0xe9, TEST_PORT_DEBUG, BUS_BYTE},
        {test, 0xf4, 0xf7, TEST_PORT_EXIT, BUS_BYTE | BUS_WORD | BUS_DWORD},
        {&platform->uart.device, UART_COM1_PORT, UART_COM1_PORT + 7, 0, BUS_BYTE},
        {pic, 0x4d0, 0x4d1, PIC_ELCR, BUS_BYTE},
        {&platform->fw_cfg.device, FW_CFG_PORT, FW_CFG_PORT + 1, FW_CFG_SELECTOR,
         BUS_BYTE | BUS_WORD},
        {pm, ACPI_PM_BASE, ACPI_PM_BASE + PM_TIMER - 1, 0, BUS_BYTE | BUS_WORD},
        {pm, ACPI_PM_BASE + PM_TIMER, ACPI_PM_BASE + ACPI_PM_PORTS - 1, PM_TIMER,
         BUS_BYTE | BUS_WORD | BUS_DWORD},
        {&platform->pci.device, PCI_HOST_PORT, PCI_HOST_PORT + PCI_HOST_PORTS - 1, 0,
         BUS_BYTE | BUS_WORD | BUS_DWORD},
        {exercise, TEST_DEVICE_LINES_PORT, TEST_DEVICE_LINES_PORT + TEST_DEVICE_LINES - 1,
         TEST_DEVICE_LINE, BUS_BYTE},
        {test, 0x8900, 0x8900, TEST_PORT_SHUTDOWN, BUS_BYTE},
    };
    enum status status = STATUS_OK;
    for (unsigned i = 0; i < ARRAY_COUNT(attachments) && status == STATUS_OK; i++) {
        const struct attachment *at = &attachments[i];
        status =
            port_bus_attach(&platform->ports, at->device, at->first, at->last, at->reg, at->widths);
    }
    return status;
}

static enum status attach_memory(struct platform *platform, struct mmio_bus *bus)
{
    enum status status = mmio_bus_attach(bus, &platform->test_device.memory, gpa(IO_RAM_ADDRESS),
                                         IO_RAM_BYTES, BUS_BYTE | BUS_WORD | BUS_DWORD | BUS_QWORD);
    if (status != STATUS_OK || platform->processors == 0)
        return status;
    return mmio_bus_attach(bus, &platform->io_apic.device, gpa(IO_APIC_ADDRESS), IO_APIC_BYTES,
                           BUS_BYTE | BUS_DWORD | BUS_WHOLE);
}

// Puts the local APIC's page where its base register says, if it is to be seen in memory at all.
// A base in another device's range, or in RAM, shows what is there instead.
static void place_local_apic(struct platform_processor *processor)
{
    struct local_apic *apic = &processor->apic;
    mmio_bus_detach(&processor->mmio, &apic->device);
    if (local_apic_enabled(apic) && !local_apic_is_x2apic(apic))
        (void)!mmio_bus_attach(&processor->mmio, &apic->device, gpa(apic->base & ~0xfffull),
                               LOCAL_APIC_BYTES, BUS_DWORD | BUS_WHOLE);
}

static enum status init_apics(struct platform *platform, const struct platform_config *config)
{
    enum status status = STATUS_OK;
    apic_bus_init(&platform->apic_bus);
    io_apic_init(&platform->io_apic, &platform->apic_bus);
    platform->isa.ops = &isa_ops;
    platform->processors = config->processors;
    for (uint32_t i = 0; i < config->processors && status == STATUS_OK; i++) {
        struct platform_processor *processor = &platform->processor[i];
        const struct local_apic_wiring wiring = {&platform->apic_bus, &platform->clock, i,
                                                 config->ticks_per_count, config->physical_bits};
        mmio_bus_init(&processor->mmio);
        local_apic_init(&processor->apic, &wiring);
        status = attach_memory(platform, &processor->mmio);
    }
    return status;
}

enum status platform_init(struct platform *platform, const struct platform_config *config)
{
    if (!config->console_output || !config->console_input ||
        config->processors > APIC_BUS_PROCESSORS)
        return STATUS_INVALID;
    memset(platform, 0, sizeof(*platform));
    port_bus_init(&platform->ports);
    mmio_bus_init(&platform->mmio);
    enum status status = clock_init(&platform->clock, config->tsc, config->tsc_hz);
    if (status == STATUS_OK)
        status = attach_memory(platform, &platform->mmio);
    if (status == STATUS_OK)
        status = init_apics(platform, config);
    if (status == STATUS_OK)
        status = init_devices(platform, config);
    if (status != STATUS_OK)
        return status;
    connect_interrupts(platform);
    status = attach_ports(platform);
    if (status == STATUS_OK)
        platform_reset(platform);
    return status;
}

void platform_reset(struct platform *platform)
{
    struct device *const devices[] = {
        &platform->pic.device,         &platform->pit.device,    &platform->keyboard.device,
        &platform->rtc.device,         &platform->uart.device,   &platform->acpi_pm.device,
        &platform->test_ports.device,  &platform->fw_cfg.device, &platform->test_device.ports,
        &platform->test_device.memory, &platform->pci.device,
    };
    platform->control = (struct machine_control){MACHINE_RUNS, 0};
    for (unsigned i = 0; i < ARRAY_COUNT(devices); i++)
        devices[i]->ops->reset(devices[i]);
    platform->io_apic.device.ops->reset(&platform->io_apic.device);
    for (uint32_t i = 0; i < platform->processors; i++) {
        local_apic_power_on(&platform->processor[i].apic);
        place_local_apic(&platform->processor[i]);
    }
}

uint8_t platform_interrupt_acknowledge(struct platform *platform)
{
    unsigned irq;
    uint8_t vector = pic_acknowledge(&platform->pic, &irq);
    if (irq == IRQ_TIMER)
        pit_acknowledged(&platform->pit);
    return vector;
}

// The timer wants to know when its interrupt, which the I/O APIC sent, is taken.
static void note_acknowledged(struct platform *platform, uint32_t vector)
{
    if (UNLIKELY(vector == io_apic_edge_vector(&platform->io_apic, TIMER_PIN)))
        pit_acknowledged(&platform->pit);
}

uint8_t platform_processor_acknowledge(struct platform *platform, struct local_apic *apic)
{
    if (pic_pending(&platform->pic) && local_apic_passes_pic(apic))
        return platform_interrupt_acknowledge(platform);
    uint8_t vector = local_apic_acknowledge(apic);
    note_acknowledged(platform, vector);
    return vector;
}

void platform_processor_take(struct platform *platform, struct local_apic *apic, uint32_t vector)
{
    local_apic_take(apic, vector);
    note_acknowledged(platform, vector);
}

bool platform_set_apic_base(struct platform *platform, struct local_apic *apic, uint64_t value)
{
    if (!local_apic_set_base(apic, value))
        return false;
    place_local_apic(&platform->processor[apic->index]);
    return true;
}
