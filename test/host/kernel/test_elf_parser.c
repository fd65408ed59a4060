// SPDX-License-Identifier: MIT
// Tests kernel/process/elf_parser.c: a good file, each rule broken in turn, and mutated files under
// the sanitizers.
#include "kernel_test.h"
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include "kernel/lib/address.h"
#include "kernel/process/elf_parser.h"

#define LOWEST 0x10000ull
#define END    0x800000000000ull

struct file {
    Elf64_Ehdr header;
    Elf64_Phdr programs[3];
    uint8_t contents[0x300];
};

static struct file good_file(void)
{
    struct file file = {
        .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                   .e_type = ET_EXEC,
                   .e_machine = EM_X86_64,
                   .e_version = EV_CURRENT,
                   .e_entry = 0x400010,
                   .e_phoff = sizeof(Elf64_Ehdr),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = 3},
        .programs = {{PT_LOAD, PF_R | PF_X, 0x100, 0x400000, 0, 0x100, 0x100, 0x1000},
                     {PT_LOAD, PF_R | PF_W, 0x200, 0x401000, 0, 0x80, 0x5000, 0x1000},
                     {PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 0}},
    };
    return file;
}

// Parses a copy of exactly `size` bytes on the heap, so that the sanitizer sees a byte too far.
static enum status parse(const void *bytes, size_t size, struct elf_image *image)
{
    const char *reason = NULL;
    void *copy = malloc(size ? size : 1);

    memcpy(copy, bytes, size);
    enum status status = elf_parse(copy, size, LOWEST, END, image, &reason);
    free(copy);
    assert_true((reason == NULL) == (status == STATUS_OK));
    return status;
}

static void test_good(void **state)
{
    struct file file = good_file();
    struct elf_image image;
    (void)state;

    assert_int_equal(parse(&file, sizeof(file), &image), STATUS_OK);
    assert_int_equal(image.entry, 0x400010);
    assert_int_equal(image.segment_count, 2);
    assert_int_equal(image.segments[0].executable, 1);
    assert_int_equal(image.segments[0].writable, 0);
    assert_int_equal(image.segments[1].address, 0x401000);
    assert_int_equal(image.segments[1].file_size, 0x80);
    assert_int_equal(image.segments[1].memory_size, 0x5000);
    assert_int_equal(image.segments[1].writable, 1);
}

// Breaks one rule of a good file and expects a refusal.
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        struct file file = good_file();                                                            \
        struct elf_image image;                                                                    \
        change;                                                                                    \
        assert_int_equal(parse(&file, sizeof(file), &image), STATUS_MALFORMED);                    \
    } while (0)

static void test_header_rules(void **state)
{
    (void)state;
    REFUSED(file.header.e_ident[0] = 0);
    REFUSED(file.header.e_ident[EI_CLASS] = ELFCLASS32);
    REFUSED(file.header.e_ident[EI_DATA] = ELFDATA2MSB);
    REFUSED(file.header.e_type = ET_DYN);
    REFUSED(file.header.e_type = ET_REL);
    REFUSED(file.header.e_machine = EM_386);
    REFUSED(file.header.e_phentsize = 55);
    REFUSED(file.header.e_phoff = sizeof(file));
    REFUSED(file.header.e_phoff = UINT64_MAX - 10);
    REFUSED(file.header.e_phnum = 0xffff);
    REFUSED(file.header.e_phnum = 0);
    REFUSED(file.header.e_entry = 0x401000);
    REFUSED(file.header.e_entry = 0x400100);
    REFUSED(file.header.e_entry = 0x3fffff);
}

static void test_segment_rules(void **state)
{
    (void)state;
    REFUSED(file.programs[0].p_offset = sizeof(file) - 0x7f);
    REFUSED(file.programs[0].p_offset = UINT64_MAX - 0x10);
    REFUSED(file.programs[0].p_filesz = UINT64_MAX);
    REFUSED(file.programs[1].p_memsz = 0x7f);
    REFUSED(file.programs[1].p_memsz = END);
    REFUSED(file.programs[1].p_memsz = UINT64_MAX);
    REFUSED(file.programs[1].p_vaddr = END - 0x1000);
    REFUSED(file.programs[1].p_vaddr = 0xffffffff80000000);
    REFUSED(file.header.e_entry = file.programs[0].p_vaddr = LOWEST - 0x1000);
    REFUSED(file.programs[0].p_flags = PF_R | PF_W | PF_X);
    REFUSED(file.programs[1].p_vaddr = 0x400800); // shares the first one's page
    REFUSED(file.programs[1].p_vaddr = 0x3f0000); // out of order
    REFUSED(file.programs[2].p_type = PT_DYNAMIC);
    REFUSED(file.programs[2].p_type = PT_INTERP);
}

static void test_too_many_segments(void **state)
{
    struct {
        Elf64_Ehdr header;
        Elf64_Phdr programs[ELF_SEGMENT_MAXIMUM + 1];
    } file = {.header = good_file().header};
    struct elf_image image;
    (void)state;

    for (uint32_t i = 0; i <= ELF_SEGMENT_MAXIMUM; i++) {
        file.programs[i] =
            (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0, 0x400000 + i * 0x1000, 0, 0x20, 0x20, 1};
    }
    file.header.e_phnum = ELF_SEGMENT_MAXIMUM;
    assert_int_equal(parse(&file, sizeof(file), &image), STATUS_OK);
    file.header.e_phnum = ELF_SEGMENT_MAXIMUM + 1;
    assert_int_equal(parse(&file, sizeof(file), &image), STATUS_MALFORMED);
}

static void test_truncated(void **state)
{
    struct file file = good_file();
    struct elf_image image;
    (void)state;

    for (size_t size = 0; size < 0x200 + 0x80; size++) {
        assert_int_equal(parse(&file, size, &image), STATUS_MALFORMED);
    }
    assert_int_equal(parse(&file, 0x280, &image), STATUS_OK);
}

static void check_image(const struct elf_image *image, size_t size)
{
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct elf_segment *segment = &image->segments[i];

        assert_true(range_fits(segment->file_offset, segment->file_size, size));
        assert_true(segment->address >= LOWEST);
        assert_true(range_fits(segment->address, segment->memory_size, END));
        assert_true(segment->file_size <= segment->memory_size);
        assert_false(segment->writable && segment->executable);
    }
}

static void test_mutations(void **state)
{
    uint64_t seed = 11;
    uint32_t accepted = 0;
    (void)state;

    for (uint32_t i = 0; i < 200000; i++) {
        struct file file = good_file();
        struct elf_image image;
        uint8_t *bytes = (uint8_t *)&file;
        uint32_t changes = 1 + next_random(&seed) % 3;

        while (changes-- > 0) {
            bytes[next_random(&seed) % 232] = (uint8_t)next_random(&seed);
        }
        if (parse(&file, sizeof(file), &image) == STATUS_OK) {
            check_image(&image, sizeof(file));
            accepted++;
        }
    }
    assert_true(accepted > 1000 && accepted < 199000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),          cmocka_unit_test(test_header_rules),
        cmocka_unit_test(test_segment_rules), cmocka_unit_test(test_too_many_segments),
        cmocka_unit_test(test_truncated),     cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
