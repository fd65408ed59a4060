// SPDX-License-Identifier: MIT
// The ports of test kernels and emulator guests. See test_ports.h.
#include "vmm/devices/test_ports.h"

#include "kernel/lib/compiler.h"

#define DEBUG_PRESENT 0xe9u // what the debug port reads when it is there

// Follows the word "Shutdown", one byte at a time.
static void shutdown_byte(struct test_ports *ports, uint8_t byte)
{
    static const char word[] = "Shutdown";
    if (byte != (uint8_t)word[ports->matched])
        ports->matched = 0;
    if (byte == (uint8_t)word[ports->matched])
        ports->matched++;
    if (word[ports->matched] != 0)
        return;
    ports->matched = 0;
    machine_control_end(ports->control, MACHINE_POWER_OFF, 0);
}

static uint64_t test_ports_read(struct device *device, uint32_t reg, unsigned size)
{
    (void)size;
    struct test_ports *ports = CONTAINER_OF(device, struct test_ports, device);
    if (reg == TEST_PORT_DEBUG)
        return DEBUG_PRESENT;
    if (reg == TEST_PORT_POST)
        return ports->post;
    return 0;
}

static void test_ports_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    (void)size;
    struct test_ports *ports = CONTAINER_OF(device, struct test_ports, device);
    switch (reg) {
    case TEST_PORT_EXIT:
        machine_control_end(ports->control, MACHINE_TEST_EXIT, (uint32_t)value);
        break;
    case TEST_PORT_DEBUG:
        ports->output(ports->context, (uint8_t)value);
        break;
    case TEST_PORT_SHUTDOWN:
        shutdown_byte(ports, (uint8_t)value);
        break;
    case TEST_PORT_POST:
        ports->post = (uint8_t)value;
        break;
    default: // 0xf5-0xf7
        break;
    }
}

static void test_ports_reset(struct device *device)
{
    struct test_ports *ports = CONTAINER_OF(device, struct test_ports, device);
    ports->matched = ports->post = 0;
}

static const struct device_ops test_ports_ops = {"test ports", test_ports_read, test_ports_write,
                                                 test_ports_reset};

void test_ports_init(struct test_ports *ports, struct machine_control *control, void *context,
                     void (*output)(void *context, uint8_t byte))
{
    *ports = (struct test_ports){{&test_ports_ops}, control, context, output, 0, 0};
}
