// SPDX-License-Identifier: MIT
// The device that test kernels exercise a machine with: a latch of four bytes at port 0xe0, "flush
// this page" at 0xe4, interrupt lines that the guest drives itself at 0x2000, and 64 KiB of memory
// at 0xff000000 that answers as a device does, so that every access to it is emulated.
#pragma once

#include <stdint.h>
#include "vmm/devices/device.h"
#include "vmm/devices/interrupt_line.h"

#define TEST_DEVICE_PORT       0xe0u
#define TEST_DEVICE_LINES_PORT 0x2000u
#define TEST_DEVICE_LINES      24u
#define IO_RAM_ADDRESS         0xff000000u // guest-physical
#define IO_RAM_BYTES           0x10000u

// Register numbers on the port bus: the latch, the page to flush, a byte for each line.
enum test_device_register { TEST_DEVICE_LATCH, TEST_DEVICE_FLUSH = 4, TEST_DEVICE_LINE = 8 };

struct test_device {
    struct device ports;
    struct device memory;
    uint32_t latch;
    struct interrupt_line line[TEST_DEVICE_LINES]; // connected by the platform
    uint8_t io_ram[IO_RAM_BYTES];
};

void test_device_init(struct test_device *test);
