// SPDX-License-Identifier: MIT
// The console multiplexer: which bytes reach the terminal. Owned by the console process's one
// thread; pure, it only fills rings.
//
// Console 0 is the host log, console i the console of VM i. Each has a scrollback. Bytes of the
// foreground console also go to the terminal queue, which main.c empties into the serial port.
// A line of our own (a notice, or the host log where no second port carries it) waits until the
// guest's line is complete; when that takes too long it is put on a line of its own and the guest's
// partial line is drawn again after it. In raw mode the terminal gets exactly the first VM's bytes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/runtime/ring.h"

#define MUX_CONSOLES   17u         // host log and 16 VMs
#define MUX_SCROLLBACK (64u << 10) // bytes of each console
#define MUX_TERMINAL   (16u << 10) // bytes of the terminal queue
#define MUX_RESERVE    (6u << 10)  // of them kept free of guest output for our own lines
#define MUX_NOTICES    (4u << 10)  // bytes of lines that wait
#define MUX_REPLAY     2048u       // bytes shown again when a console comes to the front
#define MUX_PARTIAL    160u        // bytes of a guest's partial line that are drawn again

struct mux {
    bool raw;
    bool log_on_terminal; // no second serial port: log lines are notices too
    unsigned count;       // consoles in use
    unsigned foreground;
    struct ring scrollback[MUX_CONSOLES];
    struct ring terminal; // to the first serial port
    struct ring notices;  // whole lines, each ends in LF
    bool at_line_start;   // the terminal's cursor is at the start of a line
    uint64_t lines_lost;  // lines of our own that found no room
    uint8_t terminal_memory[MUX_TERMINAL];
    uint8_t notice_memory[MUX_NOTICES];
};

// Starts with console 0 alone, over MUX_SCROLLBACK bytes at `scrollback`.
void mux_init(struct mux *mux, bool raw, uint8_t *scrollback);

// Adds the next console over MUX_SCROLLBACK bytes; returns its number, 0 when all are taken. The
// first VM's console comes to the front.
unsigned mux_add(struct mux *mux, uint8_t *scrollback);

// Bytes that mux_output takes for this console without losing any on the terminal; a console in the
// background takes anything.
size_t mux_room(const struct mux *mux, unsigned console);

// Output of a guest. At most mux_room bytes.
void mux_output(struct mux *mux, unsigned console, const uint8_t *bytes, size_t length);

// One line of the host log, without line feed.
void mux_log(struct mux *mux, const char *text);

// One line for the person at the terminal, without line feed; not in raw mode.
void mux_notice(struct mux *mux, const char *text);

// True while lines of ours wait for the end of the guest's line.
bool mux_waiting(const struct mux *mux);

// Writes the waiting lines now, even in the middle of a guest's line.
void mux_flush(struct mux *mux);

// Brings a console to the front and shows its latest lines again. False: no such console.
bool mux_switch(struct mux *mux, unsigned console);
