// SPDX-License-Identifier: MIT
// The log of text (log.h).
#include "test/spec/log.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void begin(const struct spec_log *now, struct spec_log *next)
{
    if (next != now) {
        *next = *now;
    }
}

static void drop(struct spec_log *log, uint32_t count)
{
    log->count -= count;
    memmove(log->text, log->text + count, log->count);
}

static void write_out(struct spec_log *log, struct spec_log_output *output)
{
    memcpy(output->bytes + output->count, log->text, log->count);
    output->count += log->count;
    log->count = 0;
}

static void append(struct spec_log *log, const char *bytes, uint32_t count)
{
    uint32_t room = SPEC_LOG_TEXT - log->count;

    if (count > room) {
        log->lost += count - room;
        drop(log, count - room);
    }
    memcpy(log->text + log->count, bytes, count);
    log->count += count;
}

void log_set_port_spec(const struct spec_log *now, struct spec_log *next,
                       struct spec_log_output *output)
{
    begin(now, next);
    next->port = true;
    write_out(next, output);
}

void log_line_spec(const struct spec_log *now, const char *line, struct spec_log *next,
                   struct spec_log_output *output, uint64_t *told)
{
    size_t length = strnlen(line, SPEC_LOG_LINE);

    begin(now, next);
    append(next, line, (uint32_t)length);
    append(next, "\n", 1);
    if (next->port && !next->read) {
        write_out(next, output);
    }
    *told = next->reader != SPEC_NONE ? next->bits : 0;
}

uint32_t log_read_spec(const struct spec_log *now, char *buffer, uint32_t size,
                       struct spec_log *next)
{
    char words[80];
    uint32_t count = 0;

    begin(now, next);
    next->read = true;
    if (now->lost > 0) { // told once, as soon as it fits
        int length = snprintf(words, sizeof(words),
                              "warning: %" PRIu64 " bytes of the log were lost\n", now->lost);

        if ((uint32_t)length < size) {
            count = (uint32_t)length;
            memcpy(buffer, words, count);
            next->lost = 0;
        }
    }
    uint32_t taken = size - count < next->count ? size - count : next->count;
    memcpy(buffer + count, next->text, taken);
    drop(next, taken);
    return count + taken;
}

enum spec_rule log_bind_spec(const struct spec_log *now, uint32_t thread, uint32_t bit,
                             struct spec_log *next, uint64_t *told)
{
    if (now->reader != SPEC_NONE && now->reader != thread) {
        return LOG_READER;
    }
    begin(now, next);
    next->reader = thread;
    next->bits = 1ull << bit;
    *told = next->bits;
    return SPEC_ALLOWED;
}

void log_flush_spec(const struct spec_log *now, struct spec_log *next,
                    struct spec_log_output *output)
{
    begin(now, next);
    if (next->port) {
        write_out(next, output);
    }
}
