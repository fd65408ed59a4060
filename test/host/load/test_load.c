// SPDX-License-Identifier: MIT
// The loaders' entrance: detection, checks of the request, and flat images.
#include <stdlib.h>
#include <string.h>
#include "test/host/load/fixture.h"

static enum load_type detect(const void *bytes, uint64_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    struct load_image kernel = {.bytes = copy, .size = size, .file = "kernel.img"};

    assert_non_null(copy);
    memcpy(copy, bytes, size);
    enum load_type type = load_detect(&kernel);
    free(copy);
    return type;
}

static void test_detection(void **state)
{
    static uint8_t image[0x2000];

    (void)state;
    assert_int_equal(detect(image, sizeof(image)), LOAD_AUTO);
    put16(image + 510, 0xaa55);
    assert_int_equal(detect(image, sizeof(image)), LOAD_FLAT);
    assert_int_equal(detect(image, 512), LOAD_FLAT);
    assert_int_equal(detect(image, 511), LOAD_AUTO);
    put32(image + 0x202, 0x53726448);
    assert_int_equal(detect(image, sizeof(image)), LOAD_LINUX);
    make_elf64(image, 0x100000, 0x100000);
    assert_int_equal(detect(image, sizeof(image)), LOAD_ELF);
    // A 64-bit ELF file with a multiboot header wants to be entered in 32-bit mode.
    put32(image + 0x800, 0x1badb002);
    put32(image + 0x804, 0);
    put32(image + 0x808, 0u - 0x1badb002);
    assert_int_equal(detect(image, sizeof(image)), LOAD_MULTIBOOT);
    make_elf32(image, 0x100000, UINT32_MAX);
    assert_int_equal(detect(image, sizeof(image)), LOAD_MULTIBOOT);
}

// No size may make the detection read past the end.
static void test_detection_of_short_files(void **state)
{
    static uint8_t image[0x2000];

    (void)state;
    make_elf32(image, 0x100000, 3);
    for (uint64_t size = 0; size < 0x300; size++) {
        (void)detect(image, size);
    }
    for (uint64_t size = 0xff0; size < 0x1020; size++) {
        assert_int_equal(detect(image, size), LOAD_MULTIBOOT);
    }
    assert_int_equal(load_detect(&(struct load_image){0}), LOAD_AUTO);
}

static void test_type_words(void **state)
{
    enum load_type type = LOAD_AUTO;

    (void)state;
    assert_int_equal(load_type_parse("multiboot", &type), STATUS_OK);
    assert_int_equal(type, LOAD_MULTIBOOT);
    assert_int_equal(load_type_parse("auto", &type), STATUS_OK);
    assert_int_equal(type, LOAD_AUTO);
    assert_int_equal(load_type_parse("elf32", &type), STATUS_NOT_FOUND);
    assert_int_equal(load_type_parse("", &type), STATUS_NOT_FOUND);
}

static void test_unknown_image(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    (void)state;
    fixture_kernel(fixture, "just some text\n", 15);
    fixture_refuse(fixture, STATUS_MALFORMED, "kernel.img: type: found no kernel (15 bytes)",
                   "multiboot");
    assert_non_null(strstr(fixture->report.text, "HdrS"));
    assert_non_null(strstr(fixture->report.text, "ELF"));
    assert_non_null(strstr(fixture->report.text, "0x55aa"));
    assert_non_null(strstr(fixture->report.text, "flat"));
    fixture_free(fixture);
}

static void test_empty_kernel(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    (void)state;
    fixture_refuse(fixture, STATUS_MALFORMED, "kernel.img: size: found an empty file", "kernel");
    fixture_kernel(fixture, "", 0);
    fixture_refuse(fixture, STATUS_MALFORMED, "kernel.img: size: found an empty file", "kernel");
    fixture_free(fixture);
}

static void test_memory_sizes(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);
    static const uint64_t bad[] = {0, LOAD_MEMORY_MINIMUM - 4096, TEST_MEMORY - 1,
                                   LOAD_MEMORY_MAXIMUM + 4096, UINT64_MAX};

    (void)state;
    fixture_kernel(fixture, "x", 1);
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        fixture->request.memory_bytes = bad[i];
        fixture_refuse(fixture, STATUS_INVALID, "memory: found ", "multiple of 4096");
    }
    fixture->request.memory_bytes = TEST_MEMORY + 4096; // more than there is
    fixture_refuse(fixture, STATUS_INVALID, "memory: found less", "67112960");
    fixture_free(fixture);
}

static void test_too_many_modules(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    (void)state;
    for (unsigned i = 0; i <= LOAD_MODULES_MAXIMUM; i++) {
        fixture_module(fixture, "x", 1, NULL);
    }
    fixture_kernel(fixture, "x", 1);
    fixture_refuse(fixture, STATUS_INVALID, "kernel.img: modules: found 33", "at most 32");
    fixture_free(fixture);
}

static void test_bad_type(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    (void)state;
    fixture_kernel(fixture, "x", 1);
    fixture->request.type = LOAD_TYPE_COUNT;
    fixture_refuse(fixture, STATUS_INVALID, "kernel.img: type: found 5", "expected 0 to 4");
    fixture_free(fixture);
}

static void test_long_file_name(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);
    char name[2000];

    (void)state;
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    fixture->request.kernel.file = name;
    fixture_kernel(fixture, "x", 1);
    fixture_refuse(fixture, STATUS_MALFORMED, "nnnn", "no kernel");
    fixture_free(fixture);
}

static void test_flat(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);
    const struct load_entry *entry = &fixture->entry;

    (void)state;
    fixture->request.type = LOAD_FLAT;
    fixture_kernel(fixture, "\xf4\xeb\xfd", 3);
    fixture_accept(fixture);
    assert_int_equal(entry->type, LOAD_FLAT);
    assert_int_equal(entry->mode, LOAD_MODE_REAL);
    assert_int_equal(entry->rip, 0x7c00);
    assert_int_equal(entry->gpr[GPR_RDX], 0x80);
    assert_int_equal(entry->cr0, 0x10);
    assert_int_equal(entry->efer, 0);
    assert_int_equal(entry->segment[SEGMENT_CS].access_rights, 0x9b);
    assert_int_equal(entry->segment[SEGMENT_CS].limit, 0xffff);
    assert_int_equal(entry->segment[SEGMENT_SS].access_rights, 0x93);
    assert_int_equal(entry->idtr.limit, 0x3ff);
    assert_memory_equal(fixture->ram + 0x7c00, "\xf4\xeb\xfd", 3);
    fixture_free(fixture);
}

static void test_flat_size(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);
    static uint8_t image[LOAD_FLAT_MAXIMUM + 1];

    (void)state;
    fixture->request.type = LOAD_FLAT;
    image[LOAD_FLAT_MAXIMUM - 1] = 7;
    fixture_kernel(fixture, image, LOAD_FLAT_MAXIMUM);
    fixture_accept(fixture);
    assert_int_equal(fixture->ram[LOAD_LOW_FREE_END - 1], 7);
    fixture_kernel(fixture, image, LOAD_FLAT_MAXIMUM + 1);
    fixture_refuse(fixture, STATUS_NO_MEMORY, "kernel.img: size: found 622593",
                   "expected at most 622592");
    fixture_free(fixture);
}

static void test_flat_with_initrd(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    (void)state;
    fixture->request.type = LOAD_FLAT;
    fixture_kernel(fixture, "\xf4", 1);
    fixture_initrd(fixture, 10);
    fixture_refuse(fixture, STATUS_INVALID, "kernel.img: modules and initrd: found 1", "none");
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detection),        cmocka_unit_test(test_detection_of_short_files),
        cmocka_unit_test(test_type_words),       cmocka_unit_test(test_unknown_image),
        cmocka_unit_test(test_empty_kernel),     cmocka_unit_test(test_memory_sizes),
        cmocka_unit_test(test_too_many_modules), cmocka_unit_test(test_bad_type),
        cmocka_unit_test(test_long_file_name),   cmocka_unit_test(test_flat),
        cmocka_unit_test(test_flat_size),        cmocka_unit_test(test_flat_with_initrd),
    };

    return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
