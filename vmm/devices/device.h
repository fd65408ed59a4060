// SPDX-License-Identifier: MIT
// What every device model is: its own state, beginning with struct device, and a constant table of
// operations. A device sees registers, its interrupt line, the clock; never a vCPU, never an
// address. Called from the bus, one thread.
#pragma once

#include <stdint.h>
#include "kernel/lib/compiler.h"

struct device;

// One access of `size` bytes to register `reg`, in the widths and range of the region that the
// device was attached with, aligned to `size`. Bits of `value` above the size are zero; the bus
// masks what read returns.
typedef uint64_t device_read_function(struct device *device, uint32_t reg, unsigned size);
typedef void device_write_function(struct device *device, uint32_t reg, unsigned size,
                                   uint64_t value);

struct device_ops {
    const char *name; // for reports
    // Null: reads float high, writes are lost.
    device_read_function *read;
    device_write_function *write;
    // Back to the state after power-on. Lines go low, timers stop. Never null.
    void (*reset)(struct device *device);
};

struct device {
    const struct device_ops *ops;
};
