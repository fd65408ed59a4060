// SPDX-License-Identifier: MIT
// The test device: latch, interrupt lines, memory that is a device. See test_device.h.
#include "vmm/devices/test_device.h"

#include "kernel/lib/compiler.h"
#include "kernel/lib/string.h"

#define ALL_ONES(size) (UINT64_MAX >> (64 - 8 * (size)))

static uint64_t ports_read(struct device *device, uint32_t reg, unsigned size)
{
    const struct test_device *test = CONTAINER_OF(device, struct test_device, ports);
    if (reg < TEST_DEVICE_FLUSH)
        return (uint64_t)test->latch >> (8 * reg);
    return ALL_ONES(size); // the others are write-only
}

static void write_latch(struct test_device *test, uint32_t reg, unsigned size, uint64_t value)
{
    uint32_t mask = (uint32_t)ALL_ONES(size) << (8 * reg);
    test->latch = (test->latch & ~mask) | ((uint32_t)value << (8 * reg) & mask);
}

static void ports_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    struct test_device *test = CONTAINER_OF(device, struct test_device, ports);
    if (reg < TEST_DEVICE_FLUSH)
        write_latch(test, reg, size, value);
    else if (reg >= TEST_DEVICE_LINE)
        interrupt_line_set(&test->line[reg - TEST_DEVICE_LINE], value != 0);
    // TEST_DEVICE_FLUSH: guest memory is mapped for good, there is nothing that a flush would show.
}

static void ports_reset(struct device *device)
{
    struct test_device *test = CONTAINER_OF(device, struct test_device, ports);
    test->latch = 0;
    for (unsigned i = 0; i < TEST_DEVICE_LINES; i++)
        interrupt_line_set(&test->line[i], false);
}

// The bus has checked that the access lies inside, aligned to its size.
static uint64_t memory_read(struct device *device, uint32_t reg, unsigned size)
{
    const struct test_device *test = CONTAINER_OF(device, struct test_device, memory);
    uint64_t value = 0;
    memcpy(&value, &test->io_ram[reg], size);
    return value;
}

static void memory_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    struct test_device *test = CONTAINER_OF(device, struct test_device, memory);
    memcpy(&test->io_ram[reg], &value, size);
}

static void memory_reset(struct device *device)
{
    struct test_device *test = CONTAINER_OF(device, struct test_device, memory);
    memset(test->io_ram, 0, sizeof(test->io_ram));
}

static const struct device_ops ports_ops = {"test device", ports_read, ports_write, ports_reset};
static const struct device_ops memory_ops = {"I/O RAM", memory_read, memory_write, memory_reset};

void test_device_init(struct test_device *test)
{
    memset(test, 0, sizeof(*test));
    test->ports.ops = &ports_ops;
    test->memory.ops = &memory_ops;
}
