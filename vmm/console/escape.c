// SPDX-License-Identifier: MIT
// The escape key's state machine and the table of its commands. See escape.h.
#include "vmm/console/escape.h"

#include <stddef.h>
#include "kernel/lib/compiler.h"

struct row {
    uint8_t key;
    enum escape_command command;
};

static const struct row rows[] = {
    {'h', ESCAPE_HELP},       {'?', ESCAPE_HELP},  {'n', ESCAPE_NEXT},   {'l', ESCAPE_LIST},
    {'s', ESCAPE_STATISTICS}, {'p', ESCAPE_PAUSE}, {'r', ESCAPE_RESUME}, {'R', ESCAPE_RESET},
    {'k', ESCAPE_KILL},       {'x', ESCAPE_END},
};

const char *escape_help(void)
{
    return "Ctrl-A, then\n"
           "  h      this help\n"
           "  n      next console\n"
           "  0-9    console by number; 0 is the host log\n"
           "  l      list of VMs\n"
           "  s      statistics of this VM\n"
           "  p, r   pause, resume this VM\n"
           "  R      reset this VM\n"
           "  k      kill this VM\n"
           "  x      end the run\n"
           "  a      a literal Ctrl-A for the guest\n";
}

static struct escape_result take_command(uint8_t byte)
{
    struct escape_result result = {ESCAPE_UNKNOWN, byte, 0};

    if (byte == 'a' || byte == ESCAPE_KEY) {
        return (struct escape_result){ESCAPE_FORWARD, ESCAPE_KEY, 0};
    }
    if (byte >= '0' && byte <= '9') {
        return (struct escape_result){ESCAPE_CONSOLE, byte, (uint8_t)(byte - '0')};
    }
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].key == byte) {
            result.command = rows[i].command;
        }
    }
    return result;
}

struct escape_result escape_take(struct escape_state *state, uint8_t byte)
{
    if (state->pending) {
        state->pending = false;
        return take_command(byte);
    }
    if (state->enabled && byte == ESCAPE_KEY) {
        state->pending = true;
        return (struct escape_result){ESCAPE_NOTHING, byte, 0};
    }
    return (struct escape_result){ESCAPE_FORWARD, byte, 0};
}
