// SPDX-License-Identifier: MIT
// ACPI fixed hardware: PM1a event and control blocks, PM timer.
#include "vmm/devices/acpi_pm.h"

#define STATUS_TIMER        0x0001u
#define STATUS_POWER_BUTTON 0x0100u
#define STATUS_EVENTS       0x0721u // timer, global lock, power and sleep button, clock
#define STATUS_ALL          0x8731u // and bus master, wake

#define CONTROL_SCI_ENABLE   0x0001u
#define CONTROL_SLEEP_ENABLE 0x2000u
#define CONTROL_KEPT         0x1c02u // SLP_TYP, BM_RLD

#define SLEEP_TYPE(control) ((control) >> 10 & 7u)

#define CARRY_SHIFT 31u // TMR_STS is set when bit 31 of the timer changes

static uint64_t timer_ticks(const struct acpi_pm *pm)
{
    return clock_to_ticks(clock_now(pm->clock), ACPI_PM_TIMER_HZ);
}

// Brings TMR_STS, the SCI line and the timer up to date.
static void update(struct acpi_pm *pm)
{
    uint64_t carries = timer_ticks(pm) >> CARRY_SHIFT;
    if (carries != pm->carried)
        pm->status |= STATUS_TIMER;
    pm->carried = carries;
    interrupt_line_set(&pm->sci, pm->status & pm->enable & STATUS_EVENTS);
    bool waiting = pm->enable & STATUS_TIMER && !(pm->status & STATUS_TIMER);
    timer_set(&pm->timer, waiting ? clock_from_ticks((carries + 1) << CARRY_SHIFT, ACPI_PM_TIMER_HZ)
                                  : CLOCK_NEVER);
}

static void timer_expired(struct timer *timer, uint64_t now)
{
    (void)now;
    update(CONTAINER_OF(timer, struct acpi_pm, timer));
}

void acpi_pm_press_power_button(struct acpi_pm *pm)
{
    pm->status |= STATUS_POWER_BUTTON;
    update(pm);
}

static uint64_t acpi_pm_read(struct device *device, uint32_t reg, unsigned size)
{
    (void)size;
    struct acpi_pm *pm = CONTAINER_OF(device, struct acpi_pm, device);
    unsigned shift = 8 * (reg & 1);
    switch (reg & ~1u) {
    case PM1_STATUS:
        update(pm);
        return (uint64_t)pm->status >> shift;
    case PM1_ENABLE:
        return (uint64_t)pm->enable >> shift;
    case PM1_CONTROL:
        return (uint64_t)pm->pm1_control >> shift;
    case PM_TIMER:
    case PM_TIMER + 2:
        return (timer_ticks(pm) & UINT32_MAX) >> 8 * (reg & 3);
    default:
        return 0;
    }
}

static void write_control(struct acpi_pm *pm, unsigned value)
{
    pm->pm1_control = (uint16_t)((value & CONTROL_KEPT) | CONTROL_SCI_ENABLE);
    if (value & CONTROL_SLEEP_ENABLE && SLEEP_TYPE(value) == ACPI_PM_S5)
        machine_control_end(pm->control, MACHINE_POWER_OFF, 0);
}

static void acpi_pm_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    struct acpi_pm *pm = CONTAINER_OF(device, struct acpi_pm, device);
    unsigned shift = 8 * (reg & 1);
    unsigned mask = (size == 1 ? 0xffu : 0xffffu) << shift; // bits of the register written
    unsigned bits = (unsigned)(value << shift) & mask;
    update(pm);
    switch (reg & ~1u) {
    case PM1_STATUS: // write 1 to clear
        pm->status &= (uint16_t) ~(bits & STATUS_ALL);
        break;
    case PM1_ENABLE:
        pm->enable = (uint16_t)((pm->enable & ~mask) | (bits & STATUS_EVENTS));
        break;
    case PM1_CONTROL:
        write_control(pm, (pm->pm1_control & ~mask) | bits);
        break;
    default: // the timer is read-only
        break;
    }
    update(pm);
}

static void acpi_pm_reset(struct device *device)
{
    struct acpi_pm *pm = CONTAINER_OF(device, struct acpi_pm, device);
    pm->status = pm->enable = 0;
    pm->pm1_control = CONTROL_SCI_ENABLE;
    pm->carried = timer_ticks(pm) >> CARRY_SHIFT;
    update(pm);
}

static const struct device_ops acpi_pm_ops = {"acpi pm", acpi_pm_read, acpi_pm_write,
                                              acpi_pm_reset};

enum status acpi_pm_init(struct acpi_pm *pm, struct clock *clock, struct machine_control *control)
{
    *pm = (struct acpi_pm){.device = {&acpi_pm_ops}, .clock = clock, .control = control};
    pm->pm1_control = CONTROL_SCI_ENABLE;
    return clock_add_timer(clock, &pm->timer, timer_expired);
}
