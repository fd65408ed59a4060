// SPDX-License-Identifier: MIT
// The wiring of the machine, top to bottom: every device, its interrupt input and its ports. No
// PCI, no display, no DMA controller: their ports float.
#include "vmm/devices/platform.h"

#include <stddef.h>
#include "kernel/lib/string.h"

#define IRQ_TIMER    0u
#define IRQ_KEYBOARD 1u
#define IRQ_RTC      8u

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
    enum status status = uart_init(&platform->uart, clock, &host);
    if (status == STATUS_OK)
        status = pit_init(&platform->pit, clock);
    if (status == STATUS_OK)
        status = rtc_init(&platform->rtc, clock, config->start_time, config->memory_bytes);
    if (status == STATUS_OK)
        status = acpi_pm_init(&platform->acpi_pm, clock, control);
    return status;
}

static void connect_interrupts(struct platform *platform)
{
    const struct wire wires[] = {
        {&platform->pit.irq, IRQ_TIMER},        {&platform->keyboard.irq, IRQ_KEYBOARD},
        {&platform->uart.irq, UART_COM1_IRQ},   {&platform->rtc.irq, IRQ_RTC},
        {&platform->acpi_pm.sci, ACPI_SCI_IRQ},
    };
    for (unsigned i = 0; i < ARRAY_COUNT(wires); i++)
        interrupt_line_connect(wires[i].line, &platform->pic.controller, wires[i].irq);
}

static enum status attach_ports(struct platform *platform)
{
    struct device *pic = &platform->pic.device;
    struct device *pit = &platform->pit.device;
    struct device *keyboard = &platform->keyboard.device;
    struct device *test = &platform->test_ports.device;
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
        {test, 0xe9, 0xe9, TEST_PORT_DEBUG, BUS_BYTE},
        {test, 0xf4, 0xf7, TEST_PORT_EXIT, BUS_BYTE | BUS_WORD | BUS_DWORD},
        {&platform->uart.device, UART_COM1_PORT, UART_COM1_PORT + 7, 0, BUS_BYTE},
        {pic, 0x4d0, 0x4d1, PIC_ELCR, BUS_BYTE},
        {pm, ACPI_PM_BASE, ACPI_PM_BASE + PM_TIMER - 1, 0, BUS_BYTE | BUS_WORD},
        {pm, ACPI_PM_BASE + PM_TIMER, ACPI_PM_BASE + ACPI_PM_PORTS - 1, PM_TIMER,
         BUS_BYTE | BUS_WORD | BUS_DWORD},
        // A dword access to the PCI configuration address beside it must not reset the machine.
        {keyboard, 0xcf9, 0xcf9, KBC_RESET, BUS_BYTE | BUS_WHOLE},
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

enum status platform_init(struct platform *platform, const struct platform_config *config)
{
    if (!config->console_output || !config->console_input)
        return STATUS_INVALID;
    memset(platform, 0, sizeof(*platform));
    port_bus_init(&platform->ports);
    mmio_bus_init(&platform->mmio);
    enum status status = clock_init(&platform->clock, config->tsc, config->tsc_hz);
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
        &platform->pic.device,        &platform->pit.device,  &platform->keyboard.device,
        &platform->rtc.device,        &platform->uart.device, &platform->acpi_pm.device,
        &platform->test_ports.device,
    };
    platform->control = (struct machine_control){MACHINE_RUNS, 0};
    for (unsigned i = 0; i < ARRAY_COUNT(devices); i++)
        devices[i]->ops->reset(devices[i]);
}

uint8_t platform_interrupt_acknowledge(struct platform *platform)
{
    unsigned irq;
    uint8_t vector = pic_acknowledge(&platform->pic, &irq);
    if (irq == IRQ_TIMER)
        pit_acknowledged(&platform->pit);
    return vector;
}
