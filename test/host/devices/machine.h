// SPDX-License-Identifier: MIT
// A whole platform for the device tests: one TSC tick is one nanosecond, console output is kept,
// console input is a string. The devices are the real ones, reached through their ports.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "vmm/devices/platform.h"

#define START_TSC  5000u
#define START_TIME 1700000000 // 2023-11-14 22:13:20, a Tuesday

struct machine {
    struct platform platform;
    char output[8192];
    size_t output_size;
    const char *input;
    size_t input_size;
    size_t input_taken;
};

static void machine_output(void *context, uint8_t byte)
{
    struct machine *machine = context;
    if (machine->output_size < sizeof(machine->output))
        machine->output[machine->output_size++] = (char)byte;
}

static int machine_input(void *context, bool take)
{
    struct machine *machine = context;
    if (machine->input_taken == machine->input_size)
        return -1;
    int byte = (uint8_t)machine->input[machine->input_taken];
    machine->input_taken += take;
    return byte;
}

static inline int machine_create(void **state)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    const struct platform_config config = {
        .tsc = START_TSC,
        .tsc_hz = NANOSECONDS,
        .start_time = START_TIME,
        .memory_bytes = 256u << 20,
        .context = machine,
        .console_output = machine_output,
        .console_input = machine_input,
    };
    assert_non_null(machine);
    assert_int_equal(platform_init(&machine->platform, &config), STATUS_OK);
    *state = machine;
    return 0;
}

static inline int machine_destroy(void **state)
{
    free(*state);
    return 0;
}

#define MACHINE_TEST(function)                                                                     \
    cmocka_unit_test_setup_teardown(function, machine_create, machine_destroy)

static inline uint8_t in(struct machine *machine, uint16_t port)
{
    return (uint8_t)platform_port_read(&machine->platform, port, 1);
}

static inline void out(struct machine *machine, uint16_t port, uint8_t value)
{
    platform_port_write(&machine->platform, port, 1, value);
}

static inline void type(struct machine *machine, const char *text, size_t size)
{
    machine->input = text;
    machine->input_size = size;
    machine->input_taken = 0;
    platform_input_ready(&machine->platform);
}

// To `nanoseconds` after the start, in one step; runs what is due.
static inline void go_to(struct machine *machine, uint64_t nanoseconds)
{
    platform_set_time(&machine->platform, START_TSC + nanoseconds);
    platform_run_timers(&machine->platform);
}

static inline void pass(struct machine *machine, uint64_t nanoseconds)
{
    go_to(machine, clock_now(&machine->platform.clock) + nanoseconds);
}

static inline bool pending(const struct machine *machine)
{
    return platform_interrupt_pending(&machine->platform);
}

static inline unsigned acknowledge(struct machine *machine)
{
    return platform_interrupt_acknowledge(&machine->platform);
}

// The way PC software sets the controllers up: vectors 0x20 and 0x28, all inputs open.
static inline void set_up_pics(struct machine *machine)
{
    static const uint8_t words[2][4] = {{0x11, 0x20, 0x04, 0x01}, {0x11, 0x28, 0x02, 0x01}};
    for (unsigned chip = 0; chip < 2; chip++) {
        uint16_t port = chip ? 0xa0 : 0x20;
        out(machine, port, words[chip][0]);
        for (unsigned i = 1; i < 4; i++)
            out(machine, port + 1, words[chip][i]);
        out(machine, port + 1, 0);
    }
}

// Drives input `irq` of the controllers as a device would.
static inline void drive(struct machine *machine, unsigned irq, bool level)
{
    struct interrupt_controller *controller = &machine->platform.pic.controller;
    controller->ops->set(controller, irq, level);
}
