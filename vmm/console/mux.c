// SPDX-License-Identifier: MIT
// The console multiplexer. See mux.h for the rules.
#include "vmm/console/mux.h"

#include "kernel/lib/format.h"
#include "kernel/lib/string.h"

void mux_init(struct mux *mux, bool raw, uint8_t *scrollback)
{
    memset(mux, 0, sizeof(*mux));
    mux->raw = raw;
    mux->count = 1;
    mux->at_line_start = true;
    ring_init(&mux->scrollback[0], scrollback, MUX_SCROLLBACK);
    ring_init(&mux->terminal, mux->terminal_memory, MUX_TERMINAL);
    ring_init(&mux->notices, mux->notice_memory, MUX_NOTICES);
}

unsigned mux_add(struct mux *mux, uint8_t *scrollback)
{
    if (mux->count == MUX_CONSOLES) {
        return 0;
    }
    ring_init(&mux->scrollback[mux->count], scrollback, MUX_SCROLLBACK);
    if (mux->count == 1) {
        mux->foreground = 1;
    }
    return mux->count++;
}

static void terminal_text(struct mux *mux, const char *text)
{
    (void)ring_put(&mux->terminal, (const uint8_t *)text, strlen(text));
}

// Length of the control sequence at `bytes` ("ESC [ parameters final") if it asks the terminal for
// an answer: device status (n) or attributes (c). Else 0.
static size_t query_length(const uint8_t *bytes, size_t length)
{
    size_t i = 2;

    if (length < 3 || bytes[0] != 0x1b || bytes[1] != '[') {
        return 0;
    }
    while (i < length && bytes[i] >= 0x20 && bytes[i] < 0x40) {
        i++;
    }
    return i < length && (bytes[i] == 'n' || bytes[i] == 'c') ? i + 1 : 0;
}

// Takes the questions out of old output: the guest would get the answers as typed bytes.
static size_t drop_queries(uint8_t *bytes, size_t length)
{
    size_t kept = 0;

    for (size_t i = 0; i < length;) {
        size_t query = query_length(bytes + i, length - i);

        if (query == 0) {
            bytes[kept++] = bytes[i++];
        }
        i += query;
    }
    return kept;
}

// The part of the foreground console's output behind its last line feed.
static size_t partial_line(const struct mux *mux, uint8_t *buffer)
{
    size_t length =
        ring_copy_tail(&mux->scrollback[mux->foreground], MUX_PARTIAL, buffer, MUX_PARTIAL);
    size_t start = length;

    while (start > 0 && buffer[start - 1] != '\n') {
        start--;
    }
    memmove(buffer, buffer + start, length - start);
    return drop_queries(buffer, length - start);
}

// Moves whole waiting lines to the terminal, as CR LF lines, as far as there is room.
static void write_notices(struct mux *mux)
{
    const uint8_t *bytes = NULL;

    while (mux->notices.count > 0 && ring_room(&mux->terminal) > MUX_PARTIAL + 2) {
        (void)ring_front(&mux->notices, &bytes);
        if (*bytes == '\n') {
            terminal_text(mux, "\r");
        }
        (void)ring_put(&mux->terminal, bytes, 1);
        ring_drop(&mux->notices, 1);
    }
}

void mux_flush(struct mux *mux)
{
    uint8_t partial[MUX_PARTIAL];
    size_t length = 0;

    if (mux->notices.count == 0) {
        return;
    }
    if (!mux->at_line_start) {
        length = partial_line(mux, partial);
        terminal_text(mux, "\r\n");
    }
    write_notices(mux);
    (void)ring_put(&mux->terminal, partial, length);
}

bool mux_waiting(const struct mux *mux)
{
    return mux->notices.count > 0;
}

static void flush_if_possible(struct mux *mux)
{
    if (mux->at_line_start) {
        mux_flush(mux);
    }
}

size_t mux_room(const struct mux *mux, unsigned console)
{
    size_t room = ring_room(&mux->terminal);

    if (console != mux->foreground) {
        return SIZE_MAX;
    }
    return room > MUX_RESERVE ? room - MUX_RESERVE : 0;
}

void mux_output(struct mux *mux, unsigned console, const uint8_t *bytes, size_t length)
{
    if (length == 0) {
        return;
    }
    ring_put_over(&mux->scrollback[console], bytes, length);
    if (console == mux->foreground) {
        (void)ring_put(&mux->terminal, bytes, length);
        mux->at_line_start = bytes[length - 1] == '\n';
        flush_if_possible(mux);
    }
}

static void add_notice(struct mux *mux, const char *text)
{
    size_t length = strlen(text);

    if (mux->raw) {
        return;
    }
    if (ring_room(&mux->notices) < length + 1) {
        mux_flush(mux);
    }
    if (ring_room(&mux->notices) < length + 1) {
        mux->lines_lost++;
        return;
    }
    (void)ring_put(&mux->notices, (const uint8_t *)text, length);
    (void)ring_put(&mux->notices, (const uint8_t *)"\n", 1);
    flush_if_possible(mux);
}

void mux_notice(struct mux *mux, const char *text)
{
    add_notice(mux, text);
}

void mux_log(struct mux *mux, const char *text)
{
    struct ring *scrollback = &mux->scrollback[0];

    ring_put_over(scrollback, (const uint8_t *)text, strlen(text));
    ring_put_over(scrollback, (const uint8_t *)"\r\n", 2);
    if (mux->log_on_terminal || mux->foreground == 0) {
        add_notice(mux, text);
    }
}

// Puts the newest whole lines of the foreground console, MUX_REPLAY bytes at most, on the terminal.
static void replay(struct mux *mux)
{
    const struct ring *scrollback = &mux->scrollback[mux->foreground];
    uint8_t buffer[MUX_REPLAY];
    size_t length = ring_copy_tail(scrollback, MUX_REPLAY, buffer, MUX_REPLAY);
    size_t start = 0;

    if (scrollback->count > MUX_REPLAY) {
        while (start < length && buffer[start] != '\n') {
            start++; // what is left of a line
        }
        start = start < length ? start + 1 : 0;
    }
    memmove(buffer, buffer + start, length - start);
    length = drop_queries(buffer, length - start);
    (void)ring_put(&mux->terminal, buffer, length);
    mux->at_line_start = length == 0 || buffer[length - 1] == '\n';
}

bool mux_switch(struct mux *mux, unsigned console)
{
    if (console >= mux->count || mux->raw) {
        return false;
    }
    mux_flush(mux);
    if (!mux->at_line_start) {
        terminal_text(mux, "\r\n");
    }
    mux->foreground = console;
    if (ring_room(&mux->terminal) < MUX_REPLAY) {
        ring_drop(&mux->terminal, MUX_REPLAY); // of the other console: its scrollback has them
    }
    replay(mux);
    return true;
}
