// SPDX-License-Identifier: MIT
// A wire from a device to an interrupt controller. The device knows only its line; the controller
// knows only numbers. Owned by the device that drives it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct interrupt_controller;

struct interrupt_controller_ops {
    // The level of input `number` changed.
    void (*set)(struct interrupt_controller *controller, unsigned number, bool level);
    // True while a request on input `number` cannot reach the processor (masked, not initialised).
    bool (*masked)(const struct interrupt_controller *controller, unsigned number);
};

struct interrupt_controller {
    const struct interrupt_controller_ops *ops;
};

struct interrupt_line {
    struct interrupt_controller *controller; // null: not connected
    uint8_t number;                          // the controller's input
    bool level;
};

// Connects a line to input `number` of `controller`, low.
static inline void interrupt_line_connect(struct interrupt_line *line,
                                          struct interrupt_controller *controller, unsigned number)
{
    line->controller = controller;
    line->number = (uint8_t)number;
    line->level = false;
}

// Drives the line; only changes reach the controller.
static inline void interrupt_line_set(struct interrupt_line *line, bool level)
{
    if (line->level == level)
        return;
    line->level = level;
    if (line->controller)
        line->controller->ops->set(line->controller, line->number, level);
}

// A rising edge that leaves the line high, whatever it was.
static inline void interrupt_line_strobe(struct interrupt_line *line)
{
    interrupt_line_set(line, false);
    interrupt_line_set(line, true);
}

static inline bool interrupt_line_masked(const struct interrupt_line *line)
{
    return !line->controller || line->controller->ops->masked(line->controller, line->number);
}
