// SPDX-License-Identifier: MIT
// The specification of the kernel's log of text: what is kept for the reader, what goes to the
// port, what is lost, and who is told.
#pragma once

#include "test/spec/rule.h"

#define SPEC_LOG_TEXT 65536u // bytes that wait at the most
#define SPEC_LOG_LINE 255u   // bytes of a line, besides its end

struct spec_log {
    uint32_t count;
    char text[SPEC_LOG_TEXT]; // that nobody took, oldest first
    uint64_t lost;
    bool read;       // somebody has: the kernel writes to the port no more
    bool port;       // one is known
    uint32_t reader; // thread; SPEC_NONE: none
    uint64_t bits;   // by which it is told
};

struct spec_log_output { // bytes for the port
    uint32_t count;
    char bytes[SPEC_LOG_TEXT + SPEC_LOG_LINE + 1];
};

void log_set_port_spec(const struct spec_log *now, struct spec_log *next,
                       struct spec_log_output *output);
// A line with its prefix. *told: event bits that the reader gets.
void log_line_spec(const struct spec_log *now, const char *line, struct spec_log *next,
                   struct spec_log_output *output, uint64_t *told);
// Returns how many bytes stand in `buffer`, at most `size`.
uint32_t log_read_spec(const struct spec_log *now, char *buffer, uint32_t size,
                       struct spec_log *next);
enum spec_rule log_bind_spec(const struct spec_log *now, uint32_t thread, uint32_t bit,
                             struct spec_log *next, uint64_t *told);
// At the end of the run: what nobody has read.
void log_flush_spec(const struct spec_log *now, struct spec_log *next,
                    struct spec_log_output *output);
