// SPDX-License-Identifier: MIT
// The console process's pure parts: rings, the escape key, log lines, the multiplexer.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/console/escape.h"
#include "vmm/console/line.h"
#include "vmm/console/mux.h"
#include "vmm/runtime/ring.h"

static void test_ring_against_model(void **state)
{
    uint8_t memory[7];
    char model[8] = "";
    struct ring ring;
    unsigned seed = 1;

    (void)state;
    ring_init(&ring, memory, sizeof(memory));
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t bytes[11];
        size_t length;
        size_t held = strlen(model);
        uint8_t tail[8] = {0};

        seed = seed * 1103515245 + 12345;
        length = seed >> 16 & 7;
        for (size_t k = 0; k < sizeof(bytes); k++) {
            bytes[k] = (uint8_t)('a' + (i + k) % 26);
        }
        switch (seed >> 20 & 3) {
        case 0: {
            size_t fits = length < 7 - held ? length : 7 - held;

            assert_int_equal(ring_put(&ring, bytes, length), fits);
            memcpy(model + held, bytes, fits);
            model[held + fits] = '\0';
            break;
        }
        case 1: {
            char joined[32];

            length += seed >> 24 & 3; // sometimes more than the ring holds
            ring_put_over(&ring, bytes, length);
            (void)snprintf(joined, sizeof(joined), "%s%.*s", model, (int)length, bytes);
            held = strlen(joined);
            (void)snprintf(model, sizeof(model), "%s", joined + (held > 7 ? held - 7 : 0));
            break;
        }
        default:
            ring_drop(&ring, length);
            memmove(model, model + (length < held ? length : held),
                    held - (length < held ? length : held) + 1);
            break;
        }
        assert_int_equal(ring.count, strlen(model));
        assert_int_equal(ring_room(&ring), 7 - strlen(model));
        assert_int_equal(ring_copy_tail(&ring, 99, tail, 99), strlen(model));
        assert_string_equal((char *)tail, model);
    }
}

static void test_escape(void **state)
{
    struct escape_state escape = {.enabled = true};
    struct escape_result result;
    static const char keys[] = "hnlsprRkx";
    static const enum escape_command expected[] = {
        ESCAPE_HELP,   ESCAPE_NEXT,  ESCAPE_LIST, ESCAPE_STATISTICS, ESCAPE_PAUSE,
        ESCAPE_RESUME, ESCAPE_RESET, ESCAPE_KILL, ESCAPE_END,
    };

    (void)state;
    result = escape_take(&escape, 'q');
    assert_int_equal(result.command, ESCAPE_FORWARD);
    assert_int_equal(result.byte, 'q');
    for (size_t i = 0; i < strlen(keys); i++) {
        assert_int_equal(escape_take(&escape, 1).command, ESCAPE_NOTHING);
        assert_int_equal(escape_take(&escape, (uint8_t)keys[i]).command, expected[i]);
        assert_int_equal(escape_take(&escape, (uint8_t)keys[i]).command, ESCAPE_FORWARD);
    }
    (void)escape_take(&escape, 1);
    result = escape_take(&escape, '7');
    assert_int_equal(result.command, ESCAPE_CONSOLE);
    assert_int_equal(result.number, 7);
    (void)escape_take(&escape, 1);
    result = escape_take(&escape, 'a');
    assert_int_equal(result.command, ESCAPE_FORWARD);
    assert_int_equal(result.byte, 1);
    (void)escape_take(&escape, 1);
    assert_int_equal(escape_take(&escape, 'Z').command, ESCAPE_UNKNOWN);
    escape.enabled = false;
    assert_int_equal(escape_take(&escape, 1).command, ESCAPE_FORWARD);
}

static void test_lines(void **state)
{
    struct line line = {0};
    static const char text[] = "one\r\ntwo\x1b[2J\n";
    unsigned count = 0;

    (void)state;
    for (size_t i = 0; i < strlen(text); i++) {
        if (line_take(&line, (uint8_t)text[i])) {
            assert_string_equal(line.text, count == 0 ? "one" : "two?[2J");
            count++;
        }
    }
    assert_int_equal(count, 2);
    for (size_t i = 0; i < LINE_MAXIMUM - 1; i++) {
        assert_false(line_take(&line, 'x'));
    }
    assert_true(line_take(&line, 'x'));
    assert_int_equal(strlen(line.text), LINE_MAXIMUM);
    assert_false(line_take(&line, 'y'));
    assert_true(line_take(&line, '\n'));
    assert_string_equal(line.text, "y");
}

struct fixture {
    struct mux mux;
    uint8_t scrollback[4][MUX_SCROLLBACK];
    char shown[MUX_TERMINAL + 1];
};

static struct fixture *fixture_new(bool raw, unsigned vms)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    mux_init(&fixture->mux, raw, fixture->scrollback[0]);
    for (unsigned i = 1; i <= vms; i++) {
        assert_int_equal(mux_add(&fixture->mux, fixture->scrollback[i]), i);
    }
    return fixture;
}

// What the terminal got since the last call.
static const char *shown(struct fixture *fixture)
{
    size_t length = ring_copy_tail(&fixture->mux.terminal, MUX_TERMINAL, (uint8_t *)fixture->shown,
                                   MUX_TERMINAL);

    fixture->shown[length] = '\0';
    ring_drop(&fixture->mux.terminal, length);
    return fixture->shown;
}

static void output(struct fixture *fixture, unsigned console, const char *text)
{
    mux_output(&fixture->mux, console, (const uint8_t *)text, strlen(text));
}

static void test_mux_foreground(void **state)
{
    struct fixture *fixture = fixture_new(false, 2);

    (void)state;
    output(fixture, 1, "first\r\n");
    output(fixture, 2, "second\r\nlogin: ");
    assert_string_equal(shown(fixture), "first\r\n");
    assert_true(mux_switch(&fixture->mux, 2));
    assert_string_equal(shown(fixture), "second\r\nlogin: ");
    output(fixture, 1, "unseen\r\n");
    output(fixture, 2, "root");
    assert_string_equal(shown(fixture), "root");
    assert_false(mux_switch(&fixture->mux, 3));
    assert_true(mux_switch(&fixture->mux, 1));
    assert_string_equal(shown(fixture), "\r\nfirst\r\nunseen\r\n");
    free(fixture);
}

static void test_mux_lines_are_whole(void **state)
{
    struct fixture *fixture = fixture_new(false, 1);

    (void)state;
    fixture->mux.log_on_terminal = true;
    output(fixture, 1, "boot");
    mux_log(&fixture->mux, "host line");
    assert_string_equal(shown(fixture), "boot");
    assert_true(mux_waiting(&fixture->mux));
    output(fixture, 1, "ing\r\n");
    assert_string_equal(shown(fixture), "ing\r\nhost line\r\n");
    assert_false(mux_waiting(&fixture->mux));
    output(fixture, 1, "login: ro");
    mux_notice(&fixture->mux, "late");
    mux_flush(&fixture->mux);
    assert_string_equal(shown(fixture), "login: ro\r\nlate\r\nlogin: ro");
    free(fixture);
}

static void test_mux_raw(void **state)
{
    struct fixture *fixture = fixture_new(true, 2);

    (void)state;
    fixture->mux.log_on_terminal = true;
    output(fixture, 1, "a\0b"); // up to the NUL
    mux_output(&fixture->mux, 1, (const uint8_t *)"\x01\xff\n", 3);
    mux_log(&fixture->mux, "log");
    mux_notice(&fixture->mux, "notice");
    output(fixture, 2, "other\n");
    mux_flush(&fixture->mux);
    assert_false(mux_switch(&fixture->mux, 2));
    assert_string_equal(shown(fixture), "a\x01\xff\n");
    free(fixture);
}

static void test_mux_back_pressure(void **state)
{
    struct fixture *fixture = fixture_new(false, 2);
    size_t room = mux_room(&fixture->mux, 1);
    static uint8_t bytes[MUX_TERMINAL];

    (void)state;
    assert_int_equal(room, MUX_TERMINAL - MUX_RESERVE);
    assert_true(mux_room(&fixture->mux, 2) > 1u << 20);
    memset(bytes, 'x', sizeof(bytes));
    mux_output(&fixture->mux, 1, bytes, room);
    assert_int_equal(mux_room(&fixture->mux, 1), 0);
    assert_int_equal(fixture->mux.terminal.count, room);
    for (unsigned i = 0; i < 1000; i++) { // our own lines never block and are counted when lost
        mux_notice(&fixture->mux, "a line that is not short at all, repeated many times");
        mux_flush(&fixture->mux);
    }
    assert_true(fixture->mux.lines_lost > 0);
    assert_true(fixture->mux.terminal.count <= MUX_TERMINAL);
    free(fixture);
}

static void test_mux_replay_starts_at_a_line(void **state)
{
    struct fixture *fixture = fixture_new(false, 2);
    char line[16];

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        (void)snprintf(line, sizeof(line), "line %u\r\n", i);
        output(fixture, 2, line);
    }
    assert_true(mux_switch(&fixture->mux, 2));
    assert_memory_equal(shown(fixture), "line 1", 6);
    assert_string_equal(fixture->shown + strlen(fixture->shown) - 12, "line 19999\r\n");
    assert_true(strlen(fixture->shown) <= MUX_REPLAY);
    assert_int_equal(fixture->mux.scrollback[2].count, MUX_SCROLLBACK);
    free(fixture);
}

// A question to the terminal in old output must not be asked again.
static void test_mux_replay_asks_nothing(void **state)
{
    struct fixture *fixture = fixture_new(false, 2);

    (void)state;
    output(fixture, 2, "\x1b[1;31mred\x1b[0m\r\n\x1b[6n# \x1b[?1c\x1b[");
    assert_true(mux_switch(&fixture->mux, 2));
    assert_string_equal(shown(fixture), "\x1b[1;31mred\x1b[0m\r\n# \x1b[");
    mux_notice(&fixture->mux, "note");
    mux_flush(&fixture->mux);
    assert_string_equal(shown(fixture), "\r\nnote\r\n# \x1b[");
    free(fixture);
}

static void test_mux_log_console(void **state)
{
    struct fixture *fixture = fixture_new(false, 1);

    (void)state;
    mux_log(&fixture->mux, "early");
    assert_string_equal(shown(fixture), "");
    assert_true(mux_switch(&fixture->mux, 0));
    assert_string_equal(shown(fixture), "early\r\n");
    mux_log(&fixture->mux, "now");
    assert_string_equal(shown(fixture), "now\r\n");
    free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_against_model),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_mux_foreground),
        cmocka_unit_test(test_mux_lines_are_whole),
        cmocka_unit_test(test_mux_raw),
        cmocka_unit_test(test_mux_back_pressure),
        cmocka_unit_test(test_mux_replay_starts_at_a_line),
        cmocka_unit_test(test_mux_replay_asks_nothing),
        cmocka_unit_test(test_mux_log_console),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
