// SPDX-License-Identifier: MIT
// The start of the system-call checks: prints "PASS name" or "FAIL name: what got, want" lines on
// the log port and ends the run with status 0 or 1.
#include "smoke.h"
#include "smoke_smp.h"
#include <stdbool.h>
#include "kernel/lib/format.h"
#include "kernel/lib/string.h"
#include "vmm/runtime/program.h"

const struct process_info *smoke_info;
static const char *test_name;
static unsigned failures;

void smoke_print(const char *text)
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
        smoke_print(line);
    }
}

static struct module_info own_module;
static uint32_t own_module_handle;

static void open_own_module(void)
{
    for (uint32_t i = 0; i < smoke_info->module_count; i++) {
        int64_t handle = module_open(i, &own_module);

        if (handle >= 0 && strcmp(own_module.name, SMOKE_MODULE_NAME) == 0) {
            own_module_handle = (uint32_t)handle;
            return;
        }
        expect("close", handle_close((uint32_t)handle), STATUS_OK);
    }
    expect("own module", 0, 1);
}

uint32_t smoke_module(void)
{
    return own_module_handle;
}

const char *smoke_words(void)
{
    return own_module.arguments;
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
    // Threads that ended on other CPUs are freed there when those run on.
    for (uint64_t limit = tsc_now() + 5 * smoke_info->tsc_hz;
         used_pages() != used && tsc_now() < limit;) {
        (void)event_wait(tsc_now() + smoke_info->tsc_hz / 100);
    }
    expect("pages in use", (int64_t)used_pages(), (int64_t)used);
    if (failures == 0) {
        (void)format_text(line, sizeof(line), "PASS %s\n", name);
        smoke_print(line);
    }
    return failures;
}

uint64_t smoke_number(const char *text)
{
    uint64_t number = 0;

    for (; *text >= '0' && *text <= '9'; text++) {
        number = number * 10 + (uint64_t)(*text - '0');
    }
    return number;
}

// Reads a name and numbers behind the module's name; false when that is not what the words are.
static bool read_words(const char *name, uint64_t *const numbers[], unsigned count)
{
    const char *at = smoke_words();
    size_t length = strlen(name);

    if (memcmp(at, name, length) != 0) {
        return false;
    }
    at += length;
    for (unsigned i = 0; i < count; i++) {
        for (; *at >= '0' && *at <= '9'; at++) {
            *numbers[i] = *numbers[i] * 10 + (uint64_t)(*at - '0');
        }
        at += *at == ' ';
    }
    return true;
}

static bool smp_words(void)
{
    uint64_t *const numbers[] = {&smp.seed, &smp.messages, &smp.rounds, &smp.lives};

    smp.cpus = smoke_info->cpu_count < SMP_CPUS ? smoke_info->cpu_count : SMP_CPUS;
    return read_words("smp ", numbers, ARRAY_COUNT(numbers));
}

static bool paste_words(void)
{
    uint64_t *const numbers[] = {&paste.bytes, &paste.senders, &paste.lazy};

    return read_words("paste ", numbers, ARRAY_COUNT(numbers));
}

static unsigned run_smp(void)
{
    char line[100];

    (void)format_text(line, sizeof(line),
                      "smp: %u CPUs, seed %lu, %lu messages, %lu rounds, %lu lives\n", smp.cpus,
                      smp.seed, smp.messages, smp.rounds, smp.lives);
    smoke_print(line);
    return run("wakes", test_smp_wakes) + run("shootdown", test_smp_shootdown) +
           run("messages", test_smp_messages) + run("guests", test_smp_guests) +
           run("containers", test_smp_containers);
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
    open_own_module();
    if (smp_words()) {
        (void)machine_end(run_smp() != 0);
    }
    if (paste_words()) {
        (void)machine_end(run("paste", test_paste) != 0);
    }
    if (memcmp(smoke_words(), "fuzz ", 5) == 0) {
        (void)machine_end(run("fuzz", test_fuzz) != 0);
    }
    failed += run("calls", test_calls);
    failed += run("threads", test_threads);
    failed += run("processes", test_processes);
    failed += run("machines", test_machines);
    (void)machine_end(failed != 0);
    return 0;
}
