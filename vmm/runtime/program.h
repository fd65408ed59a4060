// SPDX-License-Identifier: MIT
// What every ring-3 program has: its main function, its end, and assertions of its own logic
// (never of guest or user input).
#pragma once

#include <stdint.h>
#include "kernel/abi/syscall.h"
#include "kernel/lib/compiler.h"

// Defined by the program. The result is the process's exit code.
int64_t program_main(const struct process_info *info);

// Ends the process with all its threads.
NORETURN void process_exit(int64_t code);

// Exit code of a process whose own logic failed.
#define PROGRAM_FAILED 0xdeadu

// Called with one line of text before the process ends by a failed assertion; null: nobody.
extern void (*program_failure_report)(const char *text);

// Reports `text` and where it happened, then ends the process with PROGRAM_FAILED.
NORETURN void program_fail(const char *text, const char *file, int line);

#define ASSERT(condition)                                                                          \
    do {                                                                                           \
        if (UNLIKELY(!(condition))) {                                                              \
            program_fail(#condition, __FILE__, __LINE__);                                          \
        }                                                                                          \
    } while (0)
