// SPDX-License-Identifier: MIT
// The configuration parser: what it takes, and each refusal with its line.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vmm/config/config.h"
#include "vmm/config/intercept.h"

static const char complete[] = "gatehouse 1\n"
                               "console raw\n"
                               "escape off\n"
                               "vm linux\n"
                               "kernel k1\n"
                               "kernel-type linux\n"
                               "kernel-file /boot/vmlinuz with space\n"
                               "initrd i1\n"
                               "initrd-file /tmp/i.cpio\n"
                               "append console=ttyS0 a=\"b c\"\n"
                               "memory 268435456\n"
                               "vcpus 2\n"
                               "weight 300\n"
                               "apic on\n"
                               "intercept rdtsc,exceptions,cr3\n"
                               "reset end\n"
                               "clock 1700000000\n"
                               "vm t.2\n"
                               "kernel k2\n"
                               "module m1 file.bin one two\n"
                               "module m2 other\n"
                               "memory 1048576\n";

// Parses a copy without a NUL behind it, so that the sanitizer sees a read past the end.
static enum status parse(const char *text, struct config *config, struct config_error *error)
{
    size_t length = strlen(text);
    char *copy = calloc(length > 0 ? length : 1, 1);
    enum status status;

    assert_non_null(copy);
    memcpy(copy, text, length); // NOLINT(bugprone-not-null-terminated-result)
    status = config_parse(copy, length, config, error);
    free(copy);
    return status;
}

static void assert_text(struct config_text text, const char *expected)
{
    assert_int_equal(text.length, strlen(expected));
    assert_memory_equal(text.start, expected, text.length);
}

static void test_complete(void **state)
{
    static struct config config;
    struct config_error error;

    (void)state;
    assert_int_equal(config_parse(complete, strlen(complete), &config, &error), STATUS_OK);
    assert_true(config.raw);
    assert_false(config.escape);
    assert_int_equal(config.vm_count, 2);
    assert_text(config.vms[0].name, "linux");
    assert_text(config.vms[0].kernel, "k1");
    assert_text(config.vms[0].kernel_file, "/boot/vmlinuz with space");
    assert_text(config.vms[0].initrd, "i1");
    assert_text(config.vms[0].append, "console=ttyS0 a=\"b c\"");
    assert_int_equal(config.vms[0].kernel_type, CONFIG_KERNEL_LINUX);
    assert_int_equal(config.vms[0].memory, 268435456);
    assert_int_equal(config.vms[0].vcpus, 2);
    assert_int_equal(config.vms[0].weight, 300);
    assert_int_equal(config.vms[0].apic, CONFIG_APIC_ON);
    assert_int_equal(config.vms[0].intercepts,
                     VM_INTERCEPT_RDTSC | VM_INTERCEPT_CR3 | CONFIG_INTERCEPT_EXCEPTIONS);
    assert_int_equal(config.vms[1].intercepts, 0);
    assert_int_equal(config.vms[0].clock, 1700000000);
    assert_false(config.vms[0].restart_on_reset);
    assert_true(config.vms[1].restart_on_reset);
    assert_int_equal(config.vms[1].vcpus, 1);
    assert_int_equal(config.vms[1].weight, CONFIG_WEIGHT_DEFAULT);
    assert_int_equal(config.vms[1].apic, CONFIG_APIC_AUTO);
    assert_int_equal(config.vms[1].kernel_type, CONFIG_KERNEL_AUTO);
    assert_int_equal(config.vms[1].module_count, 2);
    assert_text(config.vms[1].modules[0].module, "m1");
    assert_text(config.vms[1].modules[0].file, "file.bin");
    assert_text(config.vms[1].modules[0].arguments, "one two");
    assert_text(config.vms[1].modules[1].arguments, "");
}

static void test_section_is_verbatim(void **state)
{
    static struct config config;
    struct config_vm vm;
    struct config_error error;

    (void)state;
    assert_int_equal(config_parse(complete, strlen(complete), &config, &error), STATUS_OK);
    assert_ptr_equal(config.vms[0].section.start, strstr(complete, "vm linux"));
    assert_ptr_equal(config.vms[0].section.start + config.vms[0].section.length,
                     strstr(complete, "vm t.2"));
    assert_int_equal(config_parse_section(config.vms[1].section.start, config.vms[1].section.length,
                                          &vm, &error),
                     STATUS_OK);
    assert_text(vm.name, "t.2");
    assert_int_equal(vm.module_count, 2);
    assert_int_equal(config_parse_section(complete, strlen(complete), &vm, &error),
                     STATUS_MALFORMED);
    assert_int_equal(config_parse_section("", 0, &vm, &error), STATUS_MALFORMED);
}

struct refusal {
    const char *text;
    unsigned line;
    const char *part; // of the message
};

#define HEAD "gatehouse 1\n"
#define VM   HEAD "vm a\nkernel k\n"

static const struct refusal refusals[] = {
    {"", 0, "no vm"},
    {HEAD, 1, "no vm"},
    {"console raw\n", 1, "first line"},
    {"gatehouse 2\n", 1, "version"},
    {HEAD HEAD, 2, "only as the first line"},
    {HEAD "kernel k\n", 2, "only after a vm"},
    {HEAD "vm a b\n", 2, "expected a name"},
    {HEAD "vm\n", 2, "value is missing"},
    {HEAD "vm 123456789012345678901234567890123\n", 2, "expected a name"},
    {HEAD "vm a\nmemory 4194304\n", 3, "no kernel"},
    {VM, 3, "no memory"},
    {VM "memory 4194304\nvm a\n", 5, "taken"},
    {VM "memory 4194304\nconsole raw\n", 5, "only before"},
    {VM "kernel k\n", 4, "twice"},
    {VM "memory 12x\n", 4, "number of bytes"},
    {VM "memory 4095\n", 4, "multiple of 4096"},
    {VM "memory 4194305\n", 4, "multiple of 4096"},
    {VM "memory 99999999999999999999999\n", 4, "number of bytes"},
    {VM "memory 2199023255552\n", 4, "1 TiB"},
    {VM "vcpus 0\n", 4, "expected 1 to"},
    {VM "watchdog 5\n", 4, "watchdog: expected one of report, stop"},
    {VM "watchdog 1000001 stop\n", 4, "watchdog: expected 0 to 1000000"},
    {VM "seed x\n", 4, "seed: expected a number"},
    {VM "weight 0\n", 4, "weight: expected 1 to"},
    {VM "weight 1001\n", 4, "weight: expected 1 to"},
    {VM "apic yes\n", 4, "auto"},
    {VM "vcpus 65\n", 4, "expected 1 to"},
    {VM "reset maybe\n", 4, "expected one of"},
    {VM "kernel-type bzip\n", 4, "auto, linux, elf, multiboot, flat"},
    {VM "module m\n", 4, "MODULE FILE"},
    {VM "colour red\n", 4, "unknown key \"colour\""},
    {VM "append a\x01 b\n", 4, "control character"},
    {VM "clock 5000000000\n", 4, "before 2100"},
    {HEAD "console text\n", 2, "terminal, raw"},
    {HEAD "escape maybe\n", 2, "off, on"},
};

static void test_refusals(void **state)
{
    static struct config config;
    struct config_error error;

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        print_message("refusal %zu\n", i);
        assert_int_equal(parse(refusals[i].text, &config, &error), STATUS_MALFORMED);
        assert_int_equal(error.line, refusals[i].line);
        assert_non_null(strstr(error.message, refusals[i].part));
    }
}

// Every truncation and every single-byte change is taken or refused, never misread in memory.
static void test_damage(void **state)
{
    static struct config config;
    struct config_error error;
    char text[sizeof(complete)];

    (void)state;
    for (size_t length = 0; length < strlen(complete); length++) {
        memcpy(text, complete, length);
        text[length] = '\0';
        (void)!parse(text, &config, &error);
    }
    for (size_t i = 0; i < strlen(complete); i++) {
        memcpy(text, complete, sizeof(complete));
        text[i] ^= 0x5a;
        (void)!config_parse(text, strlen(complete), &config, &error);
    }
}

static void test_limits(void **state)
{
    static struct config config;
    struct config_error error;
    char text[8192] = HEAD;
    size_t used = strlen(text);

    (void)state;
    for (unsigned i = 0; i <= CONFIG_VM_MAXIMUM; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used,
                                 "vm v%u\nkernel k\nmemory 1048576\n", i);
    }
    assert_int_equal(parse(text, &config, &error), STATUS_MALFORMED);
    assert_non_null(strstr(error.message, "at most 16"));
    used = (size_t)snprintf(text, sizeof(text), VM "memory 1048576\n");
    for (unsigned i = 0; i <= CONFIG_MODULE_MAXIMUM; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "module m%u f\n", i);
    }
    assert_int_equal(parse(text, &config, &error), STATUS_MALFORMED);
    assert_non_null(strstr(error.message, "at most 18"));
}

static void test_intercepts(void **state)
{
    const struct {
        const char *text;
        const char *unknown; // null: all are known
    } rows[] = {{"tables", NULL},  {"dr,pause,step", NULL}, {"rdtsc,", ""},
                {",rdtsc", ""},    {"rdtsc, cr3", " cr3"},  {"rdtsc,rdtscp", "rdtscp"},
                {"RDTSC", "RDTSC"}};
    struct config_text unknown;
    uint32_t intercepts;
    char text[40];

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config_text line = {rows[i].text, (uint32_t)strlen(rows[i].text)};

        assert_int_equal(config_take_intercepts(line, &intercepts, &unknown),
                         rows[i].unknown == NULL);
        if (rows[i].unknown != NULL) {
            assert_text(unknown, rows[i].unknown);
        }
    }
    config_intercept_words(VM_INTERCEPT_STEP | VM_INTERCEPT_TABLES, text, sizeof(text));
    assert_string_equal(text, "step tables");
    config_intercept_words(UINT32_MAX, text, 8); // what fits
    assert_int_equal(strlen(text), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete), cmocka_unit_test(test_section_is_verbatim),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_intercepts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
