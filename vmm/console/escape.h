// SPDX-License-Identifier: MIT
// The escape key: which typed bytes go to the guest and which are commands. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ESCAPE_KEY 0x01u // Ctrl-A

enum escape_command {
    ESCAPE_NOTHING, // the byte was the escape key itself
    ESCAPE_FORWARD, // `byte` is for the foreground VM
    ESCAPE_HELP,
    ESCAPE_NEXT,
    ESCAPE_CONSOLE, // switch to console `number`
    ESCAPE_LIST,
    ESCAPE_STATISTICS,
    ESCAPE_PAUSE,
    ESCAPE_RESUME,
    ESCAPE_RESET,
    ESCAPE_KILL,
    ESCAPE_END,
    ESCAPE_UNKNOWN, // `byte` followed the escape key and means nothing
};

struct escape_state {
    bool enabled; // else every byte is forwarded
    bool pending; // the escape key was typed
};

struct escape_result {
    enum escape_command command;
    uint8_t byte;
    uint8_t number;
};

// Takes one typed byte.
struct escape_result escape_take(struct escape_state *state, uint8_t byte);

// The text of the help command, lines end in LF.
const char *escape_help(void);
