// SPDX-License-Identifier: MIT
// The ports that test kernels and emulator guests use: 0xf4 ends the run with a value, 0xe9 prints
// a byte, "Shutdown" written to 0x8900 powers off, 0x80 is the POST latch.
#pragma once

#include <stdint.h>
#include "vmm/devices/device.h"
#include "vmm/devices/machine_control.h"

// Register numbers on the bus.
enum test_port { TEST_PORT_EXIT, TEST_PORT_DEBUG = 4, TEST_PORT_SHUTDOWN, TEST_PORT_POST };

struct test_ports {
    struct device device;
    struct machine_control *control;
    void *context;
    void (*output)(void *context, uint8_t byte); // bytes written to 0xe9
    uint8_t matched;                             // bytes of "Shutdown" seen so far
    uint8_t post;
};

void test_ports_init(struct test_ports *ports, struct machine_control *control, void *context,
                     void (*output)(void *context, uint8_t byte));
