// SPDX-License-Identifier: MIT
// The end of a ring-3 program, wanted or not. Called by start.asm and by ASSERT. No lock: each
// caller ends the whole process.
#include "vmm/runtime/program.h"

#include "kernel/lib/format.h"
#include "vmm/runtime/system_call.h"

void (*program_failure_report)(const char *text);

NORETURN void process_exit(int64_t code)
{
    for (;;) {
        (void)system_process_exit((uint64_t)code);
    }
}

NORETURN void program_fail(const char *text, const char *file, int line)
{
    char buffer[256];

    if (program_failure_report) {
        (void)format_text(buffer, sizeof(buffer), "assertion failed: %s (%s:%d)", text, file, line);
        program_failure_report(buffer);
    }
    process_exit(PROGRAM_FAILED);
}
