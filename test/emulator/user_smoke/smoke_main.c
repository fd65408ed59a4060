// SPDX-License-Identifier: MIT
// The start of the system-call checks: prints "PASS name" or "FAIL name: what got, want" lines on
// the log port and ends the run with status 0 or 1.
#include "smoke.h"
#include <stdbool.h>
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/runtime/program.h"

const struct process_info *smoke_info;
static const char *test_name;
static unsigned failures;

static void print(const char *text)
{
    for (; *text; text++) {
        if (serial_putc(1, (uint8_t)*text) < 0) {
            (void)!serial_putc(0, (uint8_t)*text);
        }
    }
}

void expect(const char *what, int64_t got, int64_t want)
{
    char line[200];

    if (got != want) {
        failures++;
        (void)format_text(line, sizeof(line), "FAIL %s: %s got 0x%lx, want 0x%lx\n", test_name,
                          what, (uint64_t)got, (uint64_t)want);
        print(line);
    }
}

static uint64_t used_pages(void)
{
    struct container_info info = {0};

    expect("container_info", container_info_get(HANDLE_SELF_CONTAINER, &info), STATUS_OK);
    return info.used_pages;
}

static unsigned run(const char *name, void (*test)(void))
{
    char line[100];
    uint64_t used = used_pages();

    test_name = name;
    failures = 0;
    test();
    expect("pages in use", (int64_t)used_pages(), (int64_t)used);
    if (failures == 0) {
        (void)format_text(line, sizeof(line), "PASS %s\n", name);
        print(line);
    }
    return failures;
}

int64_t program_main(const struct process_info *info)
{
    char text[512];
    unsigned failed = 0;

    smoke_info = info;
    if (!info->is_root) {
        return child_main((const char *)info->arguments);
    }
    // What the kernel has logged so far was printed already; from now on the port is ours.
    while (log_read(text, sizeof(text)) > 0) {
    }
    failed += run("calls", test_calls);
    failed += run("threads", test_threads);
    failed += run("processes", test_processes);
    failed += run("machines", test_machines);
    (void)machine_end(failed != 0);
    return 0;
}
