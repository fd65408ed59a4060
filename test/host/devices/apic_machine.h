// SPDX-License-Identifier: MIT
// A whole platform of four processors with their local APICs and the I/O APIC, and what the tests
// of both ask of it.
#pragma once

#include "test/host/devices/machine.h"

#define PROCESSORS    4u
#define EXTD          (APIC_BASE_ENABLE | APIC_BASE_X2APIC)
#define IO_ENTRY(pin) (0x10u + 2 * (pin))

static inline int four_processors(void **state)
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

static inline struct local_apic *apic(struct machine *m, unsigned i)
{
    return &m->platform.processor[i].apic;
}

static inline uint32_t get(struct machine *m, unsigned i, uint32_t reg)
{
    return (uint32_t)mmio_bus_read(&m->platform.processor[i].mmio,
                                   gpa(LOCAL_APIC_ADDRESS + 16 * reg), 4);
}

static inline void set(struct machine *m, unsigned i, uint32_t reg, uint32_t value)
{
    mmio_bus_write(&m->platform.processor[i].mmio, gpa(LOCAL_APIC_ADDRESS + 16 * reg), 4, value);
}

static inline bool set_msr(struct machine *m, unsigned i, uint32_t reg, uint64_t value)
{
    return local_apic_write_msr(apic(m, i), reg, value);
}

static inline uint64_t get_msr(struct machine *m, unsigned i, uint32_t reg)
{
    uint64_t value = 0;
    assert_true(local_apic_read_msr(apic(m, i), reg, &value));
    return value;
}

static inline bool set_base(struct machine *m, unsigned i, uint64_t flags)
{
    return platform_set_apic_base(&m->platform, apic(m, i),
                                  LOCAL_APIC_ADDRESS | (i == 0 ? APIC_BASE_BSP : 0) | flags);
}

static inline void enable_all(struct machine *m)
{
    for (unsigned i = 0; i < PROCESSORS; i++) {
        set(m, i, APIC_SPURIOUS, 0x1ff);
        set(m, i, APIC_LDR, 1u << (24 + i));
    }
    m->platform.apic_bus.wake = 0;
}

static inline void enable_all_x2apic(struct machine *m)
{
    for (unsigned i = 0; i < PROCESSORS; i++) {
        assert_true(set_base(m, i, EXTD));
        assert_true(set_msr(m, i, APIC_SPURIOUS, 0x1ff));
    }
    m->platform.apic_bus.wake = 0;
}

static inline void io_set(struct machine *m, uint32_t index, uint32_t value)
{
    struct mmio_bus *bus = &m->platform.processor[0].mmio;
    mmio_bus_write(bus, gpa(IO_APIC_ADDRESS), 4, index);
    mmio_bus_write(bus, gpa(IO_APIC_ADDRESS + 0x10), 4, value);
}

static inline uint32_t io_get(struct machine *m, uint32_t index)
{
    struct mmio_bus *bus = &m->platform.processor[0].mmio;
    mmio_bus_write(bus, gpa(IO_APIC_ADDRESS), 4, index);
    return (uint32_t)mmio_bus_read(bus, gpa(IO_APIC_ADDRESS + 0x10), 4);
}

static inline void isa(struct machine *m, unsigned irq, bool level)
{
    m->platform.isa.ops->set(&m->platform.isa, irq, level);
}

static inline bool waits(struct machine *m, unsigned i)
{
    return platform_processor_pending(&m->platform, apic(m, i));
}

static inline unsigned take(struct machine *m, unsigned i)
{
    assert_true(waits(m, i));
    return platform_processor_acknowledge(&m->platform, apic(m, i));
}
