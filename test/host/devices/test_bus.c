// SPDX-License-Identifier: MIT
// The buses: dispatch, widths, splitting, edges and holes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "vmm/devices/bus.h"

// A device that remembers its accesses; a register reads as its number times 0x11, byte by byte,
// with rubbish above the size.
struct recorder {
    struct device device;
    struct {
        uint32_t reg;
        unsigned size;
        uint64_t value;
    } access[16];
    unsigned count;
};

static void record(struct recorder *recorder, uint32_t reg, unsigned size, uint64_t value)
{
    assert_true(recorder->count < ARRAY_COUNT(recorder->access));
    recorder->access[recorder->count].reg = reg;
    recorder->access[recorder->count].size = size;
    recorder->access[recorder->count++].value = value;
}

static uint64_t recorder_read(struct device *device, uint32_t reg, unsigned size)
{
    record(CONTAINER_OF(device, struct recorder, device), reg, size, 0);
    uint64_t value = UINT64_MAX << 1 << (8 * size - 1);
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)(((reg + i) * 0x11) & 0xff) << (8 * i);
    return value;
}

static void recorder_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    record(CONTAINER_OF(device, struct recorder, device), reg, size, value);
}

static void recorder_reset(struct device *device)
{
    (void)device;
}

static const struct device_ops recorder_ops = {"recorder", recorder_read, recorder_write,
                                               recorder_reset};
static const struct device_ops silent_ops = {"silent", NULL, NULL, recorder_reset};

#define ASSERT_ACCESS(recorder, n, r, s, v)                                                        \
    do {                                                                                           \
        assert_true((recorder)->count > (n));                                                      \
        assert_int_equal((recorder)->access[n].reg, r);                                            \
        assert_int_equal((recorder)->access[n].size, s);                                           \
        assert_int_equal((recorder)->access[n].value, v);                                          \
    } while (0)

struct buses {
    struct port_bus ports;
    struct mmio_bus mmio;
    struct recorder bytes, wide, edge, whole;
    struct device silent;
};

static int create(void **state)
{
    struct buses *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    b->bytes.device.ops = b->wide.device.ops = &recorder_ops;
    b->edge.device.ops = b->whole.device.ops = &recorder_ops;
    b->silent.ops = &silent_ops;
    port_bus_init(&b->ports);
    mmio_bus_init(&b->mmio);
    struct port_bus *ports = &b->ports;
    assert_int_equal(port_bus_attach(ports, &b->bytes.device, 0x20, 0x23, 0, BUS_BYTE), STATUS_OK);
    assert_int_equal(port_bus_attach(ports, &b->wide.device, 0x100, 0x107, 8, 7), STATUS_OK);
    assert_int_equal(port_bus_attach(ports, &b->edge.device, 0xffff, 0xffff, 0, 7), STATUS_OK);
    assert_int_equal(
        port_bus_attach(ports, &b->whole.device, 0x201, 0x201, 0, BUS_BYTE | BUS_WHOLE), STATUS_OK);
    assert_int_equal(port_bus_attach(ports, &b->silent, 0x300, 0x303, 0, 7), STATUS_OK);
    struct mmio_bus *mmio = &b->mmio;
    assert_int_equal(mmio_bus_attach(mmio, &b->wide.device, gpa(0x20000), 0x1000, 15), STATUS_OK);
    assert_int_equal(mmio_bus_attach(mmio, &b->bytes.device, gpa(0x10000), 0x10, BUS_DWORD),
                     STATUS_OK);
    *state = b;
    return 0;
}

static int destroy(void **state)
{
    free(*state);
    return 0;
}

static void refuses_bad_attachments(void **state)
{
    struct buses *b = *state;
    struct device *d = &b->bytes.device;
    unsigned before = b->ports.count;
    assert_int_equal(port_bus_attach(&b->ports, d, 0x1e, 0x20, 0, BUS_BYTE), STATUS_INVALID);
    assert_int_equal(port_bus_attach(&b->ports, d, 0x23, 0x30, 0, BUS_BYTE), STATUS_INVALID);
    assert_int_equal(port_bus_attach(&b->ports, d, 0, 0xffff, 0, BUS_BYTE), STATUS_INVALID);
    assert_int_equal(port_bus_attach(&b->ports, d, 0x31, 0x30, 0, BUS_BYTE), STATUS_INVALID);
    assert_int_equal(port_bus_attach(&b->ports, d, 0x30, 0x30, 0, 0), STATUS_INVALID);
    assert_int_equal(port_bus_attach(&b->ports, d, 0x30, 0x30, 0, BUS_QWORD), STATUS_INVALID);
    assert_int_equal(port_bus_attach(&b->ports, NULL, 0x30, 0x30, 0, 1), STATUS_INVALID);
    assert_int_equal(b->ports.count, before);
    assert_false(port_bus_is_device(&b->ports, 0x1e));
    for (unsigned i = before; i < PORT_REGIONS; i++)
        assert_int_equal(
            port_bus_attach(&b->ports, d, (uint16_t)(0x1000 + i), (uint16_t)(0x1000 + i), 0, 1),
            STATUS_OK);
    assert_int_equal(port_bus_attach(&b->ports, d, 0x2000, 0x2000, 0, 1), STATUS_NO_MEMORY);

    assert_int_equal(mmio_bus_attach(&b->mmio, d, gpa(0x1fff0), 0x11, 4), STATUS_INVALID);
    assert_int_equal(mmio_bus_attach(&b->mmio, d, gpa(0x20fff), 1, 4), STATUS_INVALID);
    assert_int_equal(mmio_bus_attach(&b->mmio, d, gpa(0), 0x100000, 4), STATUS_INVALID);
    assert_int_equal(mmio_bus_attach(&b->mmio, d, gpa(0x30000), 0, 4), STATUS_INVALID);
    assert_int_equal(mmio_bus_attach(&b->mmio, d, gpa(UINT64_MAX), 2, 4), STATUS_INVALID);
    assert_int_equal(mmio_bus_attach(&b->mmio, d, gpa(1ull << 40), (1ull << 32) + 1, 4),
                     STATUS_INVALID);
    for (unsigned i = 2; i < MMIO_REGIONS; i++)
        assert_int_equal(mmio_bus_attach(&b->mmio, d, gpa(0x100000 * i), 16, 4), STATUS_OK);
    assert_int_equal(mmio_bus_attach(&b->mmio, d, gpa(1), 1, 4), STATUS_NO_MEMORY);
}

static void holes_float_high(void **state)
{
    struct buses *b = *state;
    assert_int_equal(port_bus_read(&b->ports, 0x80, 1), 0xff);
    assert_int_equal(port_bus_read(&b->ports, 0x80, 2), 0xffff);
    assert_int_equal(port_bus_read(&b->ports, 0x80, 4), 0xffffffff);
    port_bus_write(&b->ports, 0x80, 4, 0);
    assert_int_equal(port_bus_read(&b->ports, 0x300, 1), 0xff); // no read operation
    assert_int_equal(port_bus_read(&b->ports, 0x300, 4), 0xffffffff);
    port_bus_write(&b->ports, 0x300, 2, 0);
    assert_int_equal(mmio_bus_read(&b->mmio, gpa(0x5000), 1), 0xff);
    assert_int_equal(mmio_bus_read(&b->mmio, gpa(0x5000), 8), UINT64_MAX);
    mmio_bus_write(&b->mmio, gpa(0x5000), 8, 0);
    assert_true(mmio_bus_is_device(&b->mmio, gpa(0x20fff)));
    assert_false(mmio_bus_is_device(&b->mmio, gpa(0x21000)));
}

static void odd_sizes_touch_nothing(void **state)
{
    struct buses *b = *state;
    static const unsigned sizes[] = {0, 3, 5, 6, 7, 8, 16, 255, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        assert_int_equal(port_bus_read(&b->ports, 0x100, sizes[i]), UINT32_MAX);
        port_bus_write(&b->ports, 0x100, sizes[i], 0);
        if (sizes[i] == 8)
            continue;
        assert_int_equal(mmio_bus_read(&b->mmio, gpa(0x20000), sizes[i]), UINT64_MAX);
        mmio_bus_write(&b->mmio, gpa(0x20000), sizes[i], 0);
    }
    assert_int_equal(b->wide.count, 0);
}

static void values_are_masked_to_the_size(void **state)
{
    struct buses *b = *state;
    assert_int_equal(port_bus_read(&b->ports, 0x101, 1), 9 * 0x11);
    assert_int_equal(port_bus_read(&b->ports, 0x102, 2), 0xbbaa);
    assert_int_equal(port_bus_read(&b->ports, 0x104, 4), 0xffeeddcc);
    port_bus_write(&b->ports, 0x100, 1, 0x12345678);
    port_bus_write(&b->ports, 0x100, 2, 0x12345678);
    port_bus_write(&b->ports, 0x104, 4, 0x12345678);
    ASSERT_ACCESS(&b->wide, 3, 8, 1, 0x78);
    ASSERT_ACCESS(&b->wide, 4, 8, 2, 0x5678);
    ASSERT_ACCESS(&b->wide, 5, 12, 4, 0x12345678);
}

static void wide_accesses_are_split(void **state)
{
    struct buses *b = *state;
    port_bus_write(&b->ports, 0x20, 4, 0x44332211);
    for (unsigned i = 0; i < 4; i++)
        ASSERT_ACCESS(&b->bytes, i, i, 1, 0x11 * (i + 1));
    assert_int_equal(port_bus_read(&b->ports, 0x22, 4), 0xffff3322); // two ports and two holes
    assert_int_equal(port_bus_read(&b->ports, 0x1f, 2), 0x00ff);     // a hole, then port 0x20
    port_bus_write(&b->ports, 0x101, 2, 0xbeef);                     // not aligned: bytes
    ASSERT_ACCESS(&b->wide, 0, 9, 1, 0xef);
    ASSERT_ACCESS(&b->wide, 1, 10, 1, 0xbe);
    port_bus_write(&b->ports, 0x106, 4, 0xaabbccdd); // hangs over the end
    ASSERT_ACCESS(&b->wide, 2, 14, 2, 0xccdd);
    assert_int_equal(b->wide.count, 3);
}

static void the_last_port_has_no_neighbour(void **state)
{
    struct buses *b = *state;
    assert_int_equal(port_bus_read(&b->ports, 0xffff, 4), 0xffffff00);
    assert_int_equal(port_bus_read(&b->ports, 0xfffe, 4), 0xffff00ff);
    port_bus_write(&b->ports, 0xffff, 2, 0x1234);
    ASSERT_ACCESS(&b->edge, 2, 0, 1, 0x34);
    assert_int_equal(b->bytes.count, 0);
}

static void whole_regions_ignore_parts(void **state)
{
    struct buses *b = *state;
    port_bus_write(&b->ports, 0x200, 4, 0xffffffff);
    port_bus_write(&b->ports, 0x200, 2, 0xffff);
    port_bus_write(&b->ports, 0x201, 2, 0xffff);
    assert_int_equal(port_bus_read(&b->ports, 0x200, 4), 0xffffffff);
    assert_int_equal(b->whole.count, 0);
    port_bus_write(&b->ports, 0x201, 1, 0x42);
    ASSERT_ACCESS(&b->whole, 0, 0, 1, 0x42);
}

static void memory_mapped_accesses(void **state)
{
    struct buses *b = *state;
    assert_int_equal(mmio_bus_read(&b->mmio, gpa(0x20000), 8), 0x7766554433221100);
    mmio_bus_write(&b->mmio, gpa(0x20ffc), 8, 0x1122334455667788); // over the end
    ASSERT_ACCESS(&b->wide, 1, 0xffc, 4, 0x55667788);
    assert_int_equal(b->wide.count, 2);
    mmio_bus_write(&b->mmio, gpa(0x20001), 2, 0xbeef); // not aligned
    ASSERT_ACCESS(&b->wide, 2, 1, 1, 0xef);
    ASSERT_ACCESS(&b->wide, 3, 2, 1, 0xbe);
    assert_int_equal(mmio_bus_read(&b->mmio, gpa(0x10000), 1), 0xff); // dwords only
    assert_int_equal(b->bytes.count, 0);
    assert_int_equal(mmio_bus_read(&b->mmio, gpa(0x10008), 8), 0xffeeddccbbaa9988);
    ASSERT_ACCESS(&b->bytes, 0, 8, 4, 0);
    ASSERT_ACCESS(&b->bytes, 1, 12, 4, 0);
    assert_int_equal(mmio_bus_read(&b->mmio, gpa(UINT64_MAX), 8), UINT64_MAX); // wraps
}

int main(void)
{
#define BUS_TEST(function) cmocka_unit_test_setup_teardown(function, create, destroy)
    const struct CMUnitTest tests[] = {
        BUS_TEST(refuses_bad_attachments),    BUS_TEST(holes_float_high),
        BUS_TEST(odd_sizes_touch_nothing),    BUS_TEST(values_are_masked_to_the_size),
        BUS_TEST(wide_accesses_are_split),    BUS_TEST(the_last_port_has_no_neighbour),
        BUS_TEST(whole_regions_ignore_parts), BUS_TEST(memory_mapped_accesses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
