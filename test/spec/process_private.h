// SPDX-License-Identifier: MIT
// What the files of the specification of processes share.
#pragma once

#include "test/spec/process.h"

// Makes *next equal to *now, whatever is the same already.
static inline void spec_processes_begin(const struct spec_processes *now,
                                        struct spec_processes *next)
{
    if (next != now) {
        *next = *now;
    }
}

// What neither lives nor is named any more goes, and containers pay for what is left.
void spec_processes_collect(struct spec_processes *next);
