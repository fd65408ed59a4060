// SPDX-License-Identifier: MIT
// What test kernels expect beside a PC's devices: firmware configuration, the latch, the lines they
// drive themselves, memory that is a device.
#include "test/host/devices/apic_machine.h"
#include "vmm/devices/fw_cfg.h"
#include "vmm/devices/test_device.h"

static uint64_t item(struct machine *m, uint16_t number, unsigned bytes)
{
    uint64_t value = 0;
    platform_port_write(&m->platform, FW_CFG_PORT, 2, number);
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)in(m, FW_CFG_PORT + 1) << (8 * i);
    return value;
}

static void firmware_configuration(void **state)
{
    struct machine *m = *state;
    assert_int_equal(item(m, 0x00, 4), 0x554d4551);
    assert_int_equal(item(m, 0x01, 4), 1);
    assert_int_equal(item(m, 0x03, 8), 256u << 20);
    assert_int_equal(item(m, 0x05, 2), m->platform.processors > 0 ? PROCESSORS : 1);
    assert_int_equal(item(m, 0x0f, 2), m->platform.processors > 0 ? PROCESSORS : 1);
    assert_int_equal(item(m, 0x19, 4), 0); // no files
    assert_int_equal(item(m, 0xffff, 8), 0);
}

static void firmware_configuration_edges(void **state)
{
    struct machine *m = *state;
    assert_int_equal(item(m, 0x00, 8), 0x554d4551); // zeros behind the end
    assert_int_equal(in(m, FW_CFG_PORT + 1), 0);
    assert_int_equal(item(m, 0x00, 1), 'Q');
    out(m, FW_CFG_PORT, 3); // a byte selects nothing, and items are read-only
    out(m, FW_CFG_PORT + 1, 'X');
    assert_int_equal(in(m, FW_CFG_PORT + 1), 'E');
    assert_int_equal(platform_port_read(&m->platform, FW_CFG_PORT, 2), 0xffff);
    platform_reset(&m->platform);
    assert_int_equal(in(m, FW_CFG_PORT + 1), 'Q');
}

static void latch(void **state)
{
    struct machine *m = *state;
    platform_port_write(&m->platform, 0xe0, 4, 0x12345678);
    assert_int_equal(platform_port_read(&m->platform, 0xe0, 4), 0x12345678);
    assert_int_equal(platform_port_read(&m->platform, 0xe0, 2), 0x5678);
    assert_int_equal(in(m, 0xe3), 0x12);
    out(m, 0xe1, 0xaa);
    platform_port_write(&m->platform, 0xe2, 2, 0xbbcc);
    assert_int_equal(platform_port_read(&m->platform, 0xe0, 4), 0xbbccaa78);
    platform_port_write(&m->platform, 0xe4, 4, 0x1000); // nothing to flush
    assert_int_equal(platform_port_read(&m->platform, 0xe4, 4), 0xffffffff);
    platform_reset(&m->platform);
    assert_int_equal(platform_port_read(&m->platform, 0xe0, 4), 0);
}

static void lines_at_the_pic(void **state)
{
    struct machine *m = *state;
    set_up_pics(m);
    out(m, 0x2005, 1);
    assert_true(pending(m));
    assert_int_equal(acknowledge(m), 0x25);
    out(m, 0x20, 0x20);
    out(m, 0x2005, 0);
    out(m, 0x2002, 1); // the cascade is nobody's
    out(m, 0x2017, 1); // there is no such input here
    assert_false(pending(m));
    assert_int_equal(in(m, 0x2005), 0xff);
    assert_int_equal(in(m, 0x2018), 0xff);
    out(m, 0x200f, 1);
    assert_int_equal(acknowledge(m), 0x2f);
    platform_reset(&m->platform);
    set_up_pics(m);
    assert_false(pending(m));
}

static void lines_at_the_io_apic(void **state)
{
    struct machine *m = *state;
    enable_all(m);
    io_set(m, IO_ENTRY(14), 0x40);
    io_set(m, IO_ENTRY(23), 0x8041); // level
    out(m, 0x200e, 1);
    out(m, 0x200e, 0);
    assert_int_equal(take(m, 0), 0x40);
    set(m, 0, APIC_EOI, 0);
    out(m, 0x2017, 1);
    assert_int_equal(take(m, 0), 0x41);
    assert_false(waits(m, 0));
}

static void io_ram(void **state)
{
    struct machine *m = *state;
    struct mmio_bus *bus = &m->platform.mmio;
    mmio_bus_write(bus, gpa(IO_RAM_ADDRESS), 8, 0x0123456789abcdef);
    assert_int_equal(mmio_bus_read(bus, gpa(IO_RAM_ADDRESS + 1), 1), 0xcd);
    assert_int_equal(mmio_bus_read(bus, gpa(IO_RAM_ADDRESS + 4), 4), 0x01234567);
    mmio_bus_write(bus, gpa(IO_RAM_ADDRESS + 3), 4, 0xaabbccdd); // across two words
    assert_int_equal(mmio_bus_read(bus, gpa(IO_RAM_ADDRESS), 8), 0x01aabbccddabcdef);
    mmio_bus_write(bus, gpa(IO_RAM_ADDRESS + IO_RAM_BYTES - 2), 4, 0x11223344); // over the edge
    assert_int_equal(mmio_bus_read(bus, gpa(IO_RAM_ADDRESS + IO_RAM_BYTES - 2), 4), 0xffff3344);
    platform_reset(&m->platform);
    assert_int_equal(mmio_bus_read(bus, gpa(IO_RAM_ADDRESS), 8), 0);
}

static void every_processor_sees_it(void **state)
{
    struct machine *m = *state;
    mmio_bus_write(&m->platform.processor[3].mmio, gpa(IO_RAM_ADDRESS + 8), 2, 0xbeef);
    assert_int_equal(mmio_bus_read(&m->platform.processor[1].mmio, gpa(IO_RAM_ADDRESS + 8), 2),
                     0xbeef);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        MACHINE_TEST(firmware_configuration),
        APIC_TEST(firmware_configuration),
        MACHINE_TEST(firmware_configuration_edges),
        MACHINE_TEST(latch),
        MACHINE_TEST(lines_at_the_pic),
        APIC_TEST(lines_at_the_io_apic),
        MACHINE_TEST(io_ram),
        APIC_TEST(every_processor_sees_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
