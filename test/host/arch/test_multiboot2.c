// SPDX-License-Identifier: MIT
// Tests arch/x86/boot/multiboot2.c with information built tag by tag, cut at every length, and with
// every byte disturbed. Inputs lie in exactly sized heap blocks so that ASan sees any overrun.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "arch/x86/boot/multiboot2.h"

static uint8_t bytes[65536];
static uint32_t used;
static struct boot_information information;

static void append(const void *data, size_t size)
{
    memcpy(bytes + used, data, size);
    used += (uint32_t)size;
}

static void begin(void)
{
    memset(bytes, 0, sizeof bytes);
    used = 8;
}

static void add_tag(uint32_t type, const void *body, size_t size)
{
    uint32_t header[2] = {type, (uint32_t)(8 + size)};
    append(header, sizeof header);
    append(body, size);
    used = (used + 7) & ~7u;
}

static void add_module(uint32_t start, uint32_t end, const char *line)
{
    uint8_t body[1024];
    memcpy(body, &start, 4);
    memcpy(body + 4, &end, 4);
    memcpy(body + 8, line, strlen(line) + 1);
    add_tag(3, body, 9 + strlen(line));
}

static void add_map(uint32_t entry_size, unsigned count)
{
    uint8_t body[8192] = {0};
    memcpy(body, &entry_size, 4);
    for (unsigned i = 0; i < count; i++) {
        uint64_t range[2] = {i * 0x100000ull, 0x80000};
        uint32_t type = 1 + i % 5;
        memcpy(body + 8 + (size_t)i * entry_size, range, 16);
        memcpy(body + 8 + (size_t)i * entry_size + 16, &type, 4);
    }
    add_tag(6, body, 8 + count * entry_size);
}

static void end(void)
{
    add_tag(0, "", 0);
    memcpy(bytes, &used, 4);
}

static enum status parse_bytes(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size != 0 ? size : 1);
    memcpy(exact, data, size);
    enum status status = multiboot2_parse(exact, size, &information);
    free(exact);
    return status;
}

static enum status parse(void)
{
    end();
    return parse_bytes(bytes, used);
}

static void build_typical(void)
{
    begin();
    add_tag(1, "emulator selftest", 18);
    add_tag(2, "GRUB 2.06", 10);
    add_tag(21, "unknown", 8);
    add_module(0x200000, 0x201234, "console.elf console");
    add_module(0x300000, 0x300000, "");
    add_map(24, 6);
    uint8_t rsdp[36] = "RSD PTR ";
    add_tag(15, rsdp, 36);
    add_tag(14, rsdp, 20);
    uint64_t table = 1;
    add_tag(12, &table, 8);
}

static void test_typical(void **state)
{
    (void)state;
    build_typical();
    assert_int_equal(parse(), STATUS_OK);
    assert_string_equal(information.command_line, "emulator selftest");
    assert_int_equal(information.module_count, 2);
    assert_int_equal(information.modules[0].start.value, 0x200000);
    assert_int_equal(information.modules[0].size, 0x1234);
    assert_string_equal(information.modules[0].line, "console.elf console");
    assert_int_equal(information.modules[1].size, 0);
    static const struct boot_memory expected[] = {
        {0x000000, 0x080000, BOOT_MEMORY_LOW},      {0x100000, 0x180000, BOOT_MEMORY_FIRMWARE},
        {0x200000, 0x202000, BOOT_MEMORY_MODULE},   {0x202000, 0x280000, BOOT_MEMORY_FIRMWARE},
        {0x300000, 0x380000, BOOT_MEMORY_FIRMWARE}, {0x400000, 0x480000, BOOT_MEMORY_FIRMWARE},
        {0x500000, 0x580000, BOOT_MEMORY_FREE},
    };
    assert_int_equal(information.memory_count, sizeof expected / sizeof expected[0]);
    for (unsigned i = 0; i < information.memory_count; i++) {
        assert_int_equal(information.memory[i].start, expected[i].start);
        assert_int_equal(information.memory[i].end, expected[i].end);
        assert_int_equal(information.memory[i].kind, expected[i].kind);
    }
    assert_int_equal(information.rsdp_size, 36); // the old one after it does not replace it
}

static void test_every_cut(void **state)
{
    (void)state;
    build_typical();
    end();
    for (uint32_t size = 0; size < used; size++) {
        uint8_t cut[65536];
        memcpy(cut, bytes, size);
        assert_int_equal(parse_bytes(cut, size), STATUS_MALFORMED); // total says more
        if (size >= 4) {
            memcpy(cut, &size, 4); // now the end tag is missing or cut
            assert_int_equal(parse_bytes(cut, size), STATUS_MALFORMED);
        }
    }
}

static void test_every_byte_disturbed(void **state)
{
    (void)state;
    build_typical();
    end();
    uint8_t original[65536];
    memcpy(original, bytes, used);
    static const uint8_t values[] = {0x00, 0x01, 0x07, 0x7f, 0x80, 0xff};
    for (uint32_t at = 0; at < used; at++) {
        for (size_t i = 0; i < sizeof values; i++) {
            uint8_t changed[65536];
            memcpy(changed, original, used);
            changed[at] = values[i];
            (void)!parse_bytes(changed, used); // any status, no overrun
            assert_true(information.module_count <= BOOT_MODULE_MAXIMUM);
            assert_true(information.memory_count <= BOOT_MEMORY_MAXIMUM);
        }
    }
}

static void test_refusals(void **state)
{
    (void)state;
    begin();
    add_tag(1, "x", 2);
    assert_int_equal(parse(), STATUS_NOT_FOUND); // no memory map
    begin();
    add_map(24, 1);
    add_tag(1, "no end", 6);
    assert_int_equal(parse(), STATUS_MALFORMED);
    begin();
    add_map(24, 1);
    add_module(0x2000, 0x1000, "");
    assert_int_equal(parse(), STATUS_MALFORMED);
    begin();
    add_map(24, 1);
    add_module(0x2001, 0x3000, "");
    assert_int_equal(parse(), STATUS_MALFORMED);
    begin();
    add_map(16, 1);
    assert_int_equal(parse(), STATUS_MALFORMED);
    begin();
    add_map(28, 2);
    assert_int_equal(parse(), STATUS_MALFORMED);
    begin();
    add_map(32, 2); // a longer entry of a later version is fine
    assert_int_equal(parse(), STATUS_OK);
    begin();
    add_map(24, 1);
    add_tag(14, "RSD PTR ", 8);
    assert_int_equal(parse(), STATUS_MALFORMED);
    begin();
    uint8_t wraps[32] = {24};
    memset(wraps + 8, 0xff, 16);
    add_tag(6, wraps, 32);
    assert_int_equal(parse(), STATUS_MALFORMED);
}

static enum status parse_with_line(size_t length)
{
    char line[700];
    memset(line, 'a', sizeof line);
    line[length] = '\0';
    begin();
    add_map(24, 6);
    add_tag(1, line, length + 1);
    return parse();
}

static void test_limits(void **state)
{
    (void)state;
    for (unsigned extra = 0; extra < 2; extra++) {
        begin();
        add_map(24, BOOT_MEMORY_MAXIMUM + extra);
        assert_int_equal(parse(), extra ? STATUS_NO_MEMORY : STATUS_OK);
        begin();
        add_map(24, 6);
        for (unsigned i = 0; i < BOOT_MODULE_MAXIMUM + extra; i++) {
            add_module(0x1000 * i, 0x1000 * i + 1, "m");
        }
        assert_int_equal(parse(), extra ? STATUS_NO_MEMORY : STATUS_OK);
        assert_int_equal(information.module_count, BOOT_MODULE_MAXIMUM);
        assert_int_equal(parse_with_line(BOOT_LINE_SIZE - 1 + extra),
                         extra ? STATUS_NO_MEMORY : STATUS_OK);
    }
    parse_with_line(BOOT_LINE_SIZE - 1);
    assert_int_equal(strlen(information.command_line), BOOT_LINE_SIZE - 1);
}

static void test_words(void **state)
{
    (void)state;
    struct boot_information boot = {.command_line = "emulator  quiet=1 selftest"};
    assert_true(boot_command_line_has(&boot, "emulator"));
    assert_true(boot_command_line_has(&boot, "selftest"));
    assert_true(boot_command_line_has(&boot, "quiet=1"));
    assert_false(boot_command_line_has(&boot, "quiet"));
    assert_false(boot_command_line_has(&boot, "self"));
    assert_false(boot_command_line_has(&boot, "selftests"));
    assert_false(boot_command_line_has(&boot, ""));
    assert_int_equal(boot_command_line_number(&boot, "quiet=", 7), 1);
    assert_int_equal(boot_command_line_number(&boot, "emulator", 7), 7); // nothing behind it
    assert_int_equal(boot_command_line_number(&boot, "emu", 7), 7);
    assert_int_equal(boot_command_line_number(&boot, "cpus=", 7), 7);
    boot.command_line[0] = '\0';
    assert_false(boot_command_line_has(&boot, "emulator"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typical),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_every_byte_disturbed),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
