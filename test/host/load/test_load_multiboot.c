// SPDX-License-Identifier: MIT
// Multiboot1 kernels: header search, boot information, modules, address fields, and refusals.
#include <stdlib.h>
#include <string.h>
#include "test/host/load/fixture.h"

#define PHYSICAL 0x200000u
#define MAGIC    0x1badb002u
#define FLAGS    3u
#define HEADER   0x1000u // file offset

static uint8_t image[0x2000];

static struct fixture *new_kernel(void)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    make_elf32(image, PHYSICAL, FLAGS);
    return fixture;
}

static void refuse(struct fixture *fixture, enum status status, const char *begin,
                   const char *found)
{
    fixture->request.type = LOAD_MULTIBOOT;
    fixture_kernel(fixture, image, sizeof(image));
    fixture_refuse(fixture, status, begin, found);
    fixture_free(fixture);
}

static const uint8_t *information(const struct fixture *fixture)
{
    return fixture->ram + fixture->entry.gpr[GPR_RBX];
}

static const char *text_at(const struct fixture *fixture, uint32_t address)
{
    return (const char *)fixture->ram + address;
}

static void test_entry_state(void **state)
{
    struct fixture *fixture = new_kernel();
    const struct load_entry *entry = &fixture->entry;

    (void)state;
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    assert_int_equal(entry->type, LOAD_MULTIBOOT);
    assert_int_equal(entry->mode, LOAD_MODE_PROTECTED);
    assert_int_equal(entry->rip, PHYSICAL + 0x20);
    assert_int_equal(entry->gpr[GPR_RAX], 0x2badb002);
    assert_int_equal(entry->cr0, 0x11);
    assert_int_equal(entry->cr4, 0);
    assert_int_equal(entry->efer, 0);
    assert_int_equal(entry->rflags, 2);
    assert_int_equal(entry->segment[SEGMENT_CS].access_rights, 0xc09b);
    assert_int_equal(entry->segment[SEGMENT_CS].limit, UINT32_MAX);
    assert_int_equal(entry->segment[SEGMENT_DS].access_rights, 0xc093);
    assert_int_equal(get64(fixture->ram + entry->gdtr.base + 0x10), 0x00cf9b000000ffffull);
    assert_memory_equal(fixture->ram + PHYSICAL, image + 0x1000, 0x1000);
    fixture_free(fixture);
}

static void test_information(void **state)
{
    struct fixture *fixture = new_kernel();

    (void)state;
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    const uint8_t *info = information(fixture);
    uint32_t flags = get32(info);
    assert_int_equal(flags & (1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9), flags);
    assert_int_equal(get32(info + 4), 639);
    assert_int_equal(get32(info + 8), (TEST_MEMORY - 0x100000) / 1024);
    assert_string_equal(text_at(fixture, get32(info + 16)), "kernel.img");
    assert_int_equal(get32(info + 20), 0);
    assert_string_equal(text_at(fixture, get32(info + 64)), "Gatehouse");
    fixture_free(fixture);
}

// Rows of the memory map, each found through the size of the one before.
static void test_memory_map(void **state)
{
    struct fixture *fixture = new_kernel();
    static const uint64_t expected[][3] = {
        {0, LOAD_LOW_FREE_END, 1},
        {LOAD_LOW_FREE_END, 0x100000 - LOAD_LOW_FREE_END, 2},
        {0x100000, TEST_MEMORY - 0x100000, 1},
    };

    (void)state;
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    const uint8_t *info = information(fixture);
    const uint8_t *row = fixture->ram + get32(info + 48);
    const uint8_t *end = row + get32(info + 44);
    for (unsigned i = 0; i < ARRAY_COUNT(expected); i++) {
        assert_int_equal(get32(row), 20);
        assert_int_equal(get64(row + 4), expected[i][0]);
        assert_int_equal(get64(row + 12), expected[i][1]);
        assert_int_equal(get32(row + 20), expected[i][2]);
        row += get32(row) + 4;
    }
    assert_ptr_equal(row, end);
    fixture_free(fixture);
}

static void test_modules(void **state)
{
    struct fixture *fixture = new_kernel();

    (void)state;
    fixture->request.command_line = "a b=c";
    fixture_initrd(fixture, 4097);
    fixture_module(fixture, "NR_CPUS=1\n", 10, "env x");
    fixture_module(fixture, "", 0, NULL);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    const uint8_t *info = information(fixture);
    assert_string_equal(text_at(fixture, get32(info + 16)), "kernel.img a b=c");
    assert_int_equal(get32(info + 20), 3);
    const uint8_t *rows = fixture->ram + get32(info + 24);
    // The initrd comes first, on the page behind the kernel's bss.
    assert_int_equal(get32(rows), PHYSICAL + 0x2000);
    assert_int_equal(get32(rows + 4), PHYSICAL + 0x2000 + 4097);
    assert_string_equal(text_at(fixture, get32(rows + 8)), "initrd.img");
    assert_int_equal(get32(rows + 16), PHYSICAL + 0x4000);
    assert_int_equal(get32(rows + 20), PHYSICAL + 0x4000 + 10);
    assert_memory_equal(fixture->ram + get32(rows + 16), "NR_CPUS=1\n", 10);
    assert_string_equal(text_at(fixture, get32(rows + 24)), "module.bin env x");
    assert_int_equal(get32(rows + 32), get32(rows + 36));
    assert_string_equal(text_at(fixture, get32(rows + 40)), "module.bin");
    fixture_free(fixture);
}

// The last place of the search, and a false magic number before it.
static void test_header_search(void **state)
{
    static uint8_t flat[9000];
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    (void)state;
    make_elf32(image, PHYSICAL, UINT32_MAX);
    put32(image + 0x1ff4, MAGIC);
    put32(image + 0x1ff8, FLAGS);
    put32(image + 0x1ffc, 0u - MAGIC - FLAGS);
    put32(image + 0x1100, MAGIC);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);

    put32(flat + 8192, MAGIC);
    put32(flat + 8196, 0);
    put32(flat + 8200, 0u - MAGIC);
    fixture->request.type = LOAD_MULTIBOOT;
    fixture_kernel(fixture, flat, sizeof(flat));
    fixture_refuse(fixture, STATUS_MALFORMED, "kernel.img: multiboot header: found no magic number",
                   "8192");
    fixture_free(fixture);
}

static void test_header_refusals(void **state)
{
    struct fixture *fixture = new_kernel();

    (void)state;
    put32(image + HEADER + 8, 7);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: multiboot header, checksum: found 0x7 at offset",
           "expected 0xe4524ffb");
    fixture = fixture_new(TEST_MEMORY);
    make_elf32(image, PHYSICAL, FLAGS | 4);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: multiboot header, flags: found 0x7", "video");
    fixture = fixture_new(TEST_MEMORY);
    make_elf32(image, PHYSICAL, 0x8000);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: multiboot header, flags: found 0x8000",
           "bits 0 and 1");
    fixture = new_kernel();
    image[0] = 0;
    refuse(fixture, STATUS_MALFORMED, "kernel.img: multiboot header, flags: found 0x3", "not ELF");
}

static void test_automatic_refusal_of_elf32(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    (void)state;
    make_elf32(image, PHYSICAL, UINT32_MAX);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_refuse(fixture, STATUS_MALFORMED, "kernel.img: multiboot header: found no magic number",
                   "is this a multiboot kernel?");
    fixture_free(fixture);
}

static void test_placement_refusals(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    (void)state;
    make_elf32(image, (uint32_t)TEST_MEMORY - 0x1000, FLAGS);
    refuse(fixture, STATUS_NO_MEMORY, "kernel.img: segment 0, p_paddr and p_memsz", "0x3fff000");
    fixture = fixture_new(TEST_MEMORY);
    make_elf32(image, 0xfffff000, FLAGS);
    refuse(fixture, STATUS_NO_MEMORY, "kernel.img: segment 0, p_paddr and p_memsz", "0xfffff000");
    fixture = fixture_new(TEST_MEMORY);
    make_elf32(image, 0x8000, FLAGS);
    put32(image + 52 + 20, 0x58000); // its bss fills the place of the boot information
    refuse(fixture, STATUS_MALFORMED, "kernel.img: load address: found the kernel at 0x8000",
           "boot information");
    fixture = new_kernel();
    fixture_module(fixture, "x", 1, NULL);
    fixture->modules[0].size = TEST_MEMORY;
    refuse(fixture, STATUS_NO_MEMORY, "module.bin: size: found 67108864", "more memory");
}

// Below the boot information there is room for a kernel.
static void test_low_kernel(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    (void)state;
    make_elf32(image, 0x7000, FLAGS);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    assert_memory_equal(fixture->ram + 0x7000, image + 0x1000, 0x1000);
    fixture_free(fixture);
}

// The boot information gives way to a kernel in its place.
static void test_kernel_in_the_way(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    (void)state;
    make_elf32(image, 0x8000, FLAGS); // to 0xa000
    fixture_kernel(fixture, image, sizeof(image));
    fixture_module(fixture, "a=b", 3, "arguments");
    fixture_accept(fixture);
    const uint8_t *info = information(fixture);
    assert_memory_equal(fixture->ram + 0x8000, image + 0x1000, 0x1000);
    assert_true(fixture->entry.gpr[GPR_RBX] > 0xa000 && fixture->entry.gpr[GPR_RBX] < 0xb000);
    assert_true(fixture->entry.gdtr.base >= 0xa000);
    assert_string_equal(text_at(fixture, get32(info + 16)), "kernel.img");
    assert_string_equal(text_at(fixture, get32(info + 64)), "Gatehouse");
    const uint8_t *module = fixture->ram + get32(info + 24);
    assert_string_equal(text_at(fixture, get32(module + 8)), "module.bin arguments");
    assert_memory_equal(fixture->ram + get32(module), "a=b", 3);
    assert_int_equal(get32(fixture->ram + get32(info + 48)), 20);
    fixture_free(fixture);
}

static void test_long_command_line(void **state)
{
    struct fixture *fixture = new_kernel();
    char *line = malloc(400000);

    (void)state;
    assert_non_null(line);
    memset(line, 'x', 400000);
    line[60000] = '\0';
    fixture->request.command_line = line;
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    assert_int_equal(strlen(text_at(fixture, get32(information(fixture) + 16))), 60011);
    line[60000] = 'x';
    line[399999] = '\0';
    for (unsigned i = 0; i < 8; i++) {
        fixture_module(fixture, "y", 1, line);
    }
    refuse(fixture, STATUS_INVALID, "kernel.img: command lines of kernel and modules", "shorten");
    free(line);
}

// A kernel of another format, placed by the address fields. Header at file offset 0x100.
static void make_flat(uint8_t *flat, uint32_t load, uint32_t load_end, uint32_t bss_end,
                      uint32_t entry)
{
    memset(flat, 0x42, 0x800);
    uint8_t *header = flat + 0x100;
    put32(header, MAGIC);
    put32(header + 4, 0x10000);
    put32(header + 8, 0u - MAGIC - 0x10000);
    put32(header + 12, load + 0xc0); // the image begins at file offset 0x40
    put32(header + 16, load);
    put32(header + 20, load_end);
    put32(header + 24, bss_end);
    put32(header + 28, entry);
}

static void test_address_fields(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);
    uint8_t flat[0x800];

    (void)state;
    make_flat(flat, PHYSICAL, PHYSICAL + 0x400, PHYSICAL + 0x1000, PHYSICAL + 0x10);
    memset(fixture->ram + PHYSICAL, 0xcc, 0x2000);
    fixture_kernel(fixture, flat, sizeof(flat));
    fixture_accept(fixture);
    assert_int_equal(fixture->entry.rip, PHYSICAL + 0x10);
    assert_memory_equal(fixture->ram + PHYSICAL, flat + 0x40, 0x400);
    assert_int_equal(fixture->ram[PHYSICAL + 0x400], 0);
    assert_int_equal(fixture->ram[PHYSICAL + 0xfff], 0);
    assert_int_equal(fixture->ram[PHYSICAL + 0x1000], 0xcc);

    // Without ends: the whole file and no bss.
    make_flat(flat, PHYSICAL, 0, 0, PHYSICAL);
    memset(fixture->ram + PHYSICAL, 0xcc, 0x2000);
    fixture_kernel(fixture, flat, sizeof(flat));
    fixture_accept(fixture);
    assert_memory_equal(fixture->ram + PHYSICAL, flat + 0x40, 0x7c0);
    assert_int_equal(fixture->ram[PHYSICAL + 0x7c0], 0xcc);
    fixture_free(fixture);
}

static void refuse_flat(const uint8_t *flat, uint64_t size, enum status status, const char *begin)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    fixture_kernel(fixture, flat, size);
    fixture_refuse(fixture, status, begin, "expected");
    fixture_free(fixture);
}

static void test_address_field_refusals(void **state)
{
    uint8_t flat[0x800];

    (void)state;
    make_flat(flat, PHYSICAL, 0, 0, PHYSICAL);
    put32(flat + 0x110, PHYSICAL + 0xc1); // load_addr above header_addr
    refuse_flat(flat, sizeof(flat), STATUS_MALFORMED, "kernel.img: multiboot header, load_addr");
    put32(flat + 0x110, PHYSICAL - 0x1000); // would begin before the file
    refuse_flat(flat, sizeof(flat), STATUS_MALFORMED, "kernel.img: multiboot header, load_addr");
    make_flat(flat, PHYSICAL, PHYSICAL + 0x7c1, 0, PHYSICAL);
    refuse_flat(flat, sizeof(flat), STATUS_MALFORMED,
                "kernel.img: multiboot header, load_end_addr: found 0x2007c1");
    make_flat(flat, PHYSICAL, PHYSICAL - 1, 0, PHYSICAL);
    refuse_flat(flat, sizeof(flat), STATUS_MALFORMED,
                "kernel.img: multiboot header, load_end_addr");
    make_flat(flat, PHYSICAL, 0, 0x80000000, PHYSICAL);
    refuse_flat(flat, sizeof(flat), STATUS_NO_MEMORY,
                "kernel.img: multiboot header, address fields: found 0x200000 to 0x80000000");
    make_flat(flat, PHYSICAL, 0, 0, PHYSICAL + 0x7c0);
    refuse_flat(flat, sizeof(flat), STATUS_MALFORMED,
                "kernel.img: multiboot header, entry_addr: found 0x2007c0");
    make_flat(flat, 0x9100, 0, 0x60000, 0x9100);
    refuse_flat(flat, sizeof(flat), STATUS_MALFORMED, "kernel.img: load address");
    make_flat(flat, PHYSICAL, 0, 0, PHYSICAL);
    refuse_flat(flat, 0x11f, STATUS_MALFORMED,
                "kernel.img: multiboot header, address fields: found the file's end");
}

static void test_mutations(void **state)
{
    struct fixture *fixture = new_kernel();
    uint8_t flat[0x800];

    (void)state;
    random_seed(21);
    fixture->request.type = LOAD_MULTIBOOT;
    fixture_module(fixture, "abc", 3, "d");
    fixture_kernel(fixture, image, sizeof(image));
    fixture_mutate(fixture, 3000);
    make_flat(flat, PHYSICAL, PHYSICAL + 0x400, PHYSICAL + 0x1000, PHYSICAL + 0x10);
    fixture_kernel(fixture, flat, sizeof(flat));
    fixture_mutate(fixture, 3000);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry_state),
        cmocka_unit_test(test_information),
        cmocka_unit_test(test_memory_map),
        cmocka_unit_test(test_modules),
        cmocka_unit_test(test_header_search),
        cmocka_unit_test(test_header_refusals),
        cmocka_unit_test(test_automatic_refusal_of_elf32),
        cmocka_unit_test(test_placement_refusals),
        cmocka_unit_test(test_low_kernel),
        cmocka_unit_test(test_kernel_in_the_way),
        cmocka_unit_test(test_long_command_line),
        cmocka_unit_test(test_address_fields),
        cmocka_unit_test(test_address_field_refusals),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests_name("load_multiboot", tests, NULL, NULL);
}
