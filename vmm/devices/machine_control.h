// SPDX-License-Identifier: MIT
// How a machine ends, and where devices report it.
#pragma once

#include <stdint.h>

enum machine_end {
    MACHINE_RUNS,
    MACHINE_POWER_OFF, // value 0
    MACHINE_RESET,     // value 0
    MACHINE_TEST_EXIT, // value: what was written to port 0xf4
};

// The last wire of every device that can end the run. The first report counts.
struct machine_control {
    enum machine_end end;
    uint32_t value;
};

static inline void machine_control_end(struct machine_control *control, enum machine_end end,
                                       uint32_t value)
{
    if (control->end != MACHINE_RUNS)
        return;
    control->end = end;
    control->value = value;
}
