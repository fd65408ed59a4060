// SPDX-License-Identifier: MIT
// Linux bzImages, built here: both ways in, placement of kernel and initrd, and every refusal.
// GATEHOUSE_TEST_BZIMAGE may name a real one, which is then unpacked as well.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test/host/load/fixture.h"
#include "vmm/load/lz4.h"

#define SETUP_BYTES 1024u // one setup sector and the boot sector
#define PREFERRED   0x1000000u
#define INIT_SIZE   0x800000u
#define PAYLOAD     0x400u // offset in the protected-mode part
#define IMAGE_BYTES 0x4000u

static uint8_t image[SETUP_BYTES + IMAGE_BYTES];

// Packs the ELF64 kernel as one block of literals and returns the payload's length.
static uint32_t make_payload(uint8_t *payload, uint32_t physical)
{
    uint8_t elf[0x2000];
    uint32_t at = 8;

    make_elf64(elf, physical, physical);
    put32(payload, LZ4_LEGACY_MAGIC);
    payload[at++] = 0xf0;
    uint32_t rest = sizeof(elf) - 15;
    for (; rest >= 255; rest -= 255) {
        payload[at++] = 255;
    }
    payload[at++] = (uint8_t)rest;
    memcpy(payload + at, elf, sizeof(elf));
    at += sizeof(elf);
    put32(payload + 4, at - 8);
    put32(payload + at, sizeof(elf));
    return at + 4;
}

static void make_bzimage(uint32_t physical)
{
    memset(image, 0, sizeof(image));
    image[0x1f1] = 1;
    put32(image + 0x1f4, IMAGE_BYTES / 16);
    put16(image + 0x1fe, 0xaa55);
    image[0x201] = 0x6a;
    put32(image + 0x202, 0x53726448);
    put16(image + 0x206, 0x020f);
    image[0x211] = 1;
    put32(image + 0x22c, 0x7fffffff);
    put32(image + 0x230, 0x200000);
    image[0x234] = 1;
    put16(image + 0x236, 3);
    put32(image + 0x238, 2047);
    put32(image + 0x248, PAYLOAD);
    put64(image + 0x258, PREFERRED);
    put32(image + 0x260, INIT_SIZE);
    put32(image + 0x24c, make_payload(image + SETUP_BYTES + PAYLOAD, physical));
}

static struct fixture *new_linux(void)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    make_bzimage(PREFERRED);
    return fixture;
}

static void refuse(struct fixture *fixture, enum status status, const char *begin,
                   const char *found)
{
    fixture_kernel(fixture, image, sizeof(image));
    fixture_refuse(fixture, status, begin, found);
    fixture_free(fixture);
}

static void test_unpack(void **state)
{
    struct fixture *fixture = new_linux();
    uint8_t elf[0x2000];

    (void)state;
    fixture->request.command_line = "quiet";
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    make_elf64(elf, PREFERRED, PREFERRED);
    assert_int_equal(fixture->entry.type, LOAD_LINUX);
    assert_int_equal(fixture->entry.rip, PREFERRED);
    assert_non_null(strstr(fixture->entry.summary, "vmlinux"));
    assert_memory_equal(fixture->ram + PREFERRED, elf + 0x1000, 0x1000);
    // The setup header went along.
    const uint8_t *params = fixture->ram + fixture->entry.gpr[GPR_RSI];
    assert_int_equal(get16(params + 0x206), 0x020f);
    assert_int_equal(get64(params + 0x258), PREFERRED);
    assert_int_equal(params[0x210], 0xff);
    assert_string_equal((const char *)fixture->ram + get32(params + 0x228), "quiet");
    fixture_free(fixture);
}

static void test_whole_image(void **state)
{
    struct fixture *fixture = new_linux();

    (void)state;
    fixture->request.linux_entry = LOAD_LINUX_BZIMAGE;
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    assert_int_equal(fixture->entry.rip, PREFERRED + 0x200);
    assert_int_equal(fixture->entry.mode, LOAD_MODE_LONG);
    assert_memory_equal(fixture->ram + PREFERRED, image + SETUP_BYTES, IMAGE_BYTES);
    const uint8_t *params = fixture->ram + fixture->entry.gpr[GPR_RSI];
    assert_int_equal(get32(params + 0x260), INIT_SIZE);
    // Bytes outside the header stay clear.
    assert_int_equal(get32(params + 0x1ec), 0);
    assert_int_equal(get64(params + 0x290), 0);
    fixture_free(fixture);
}

// Whatever the monitor cannot unpack unpacks itself.
static void test_fall_back(void **state)
{
    struct fixture *fixture = new_linux();

    (void)state;
    put32(image + SETUP_BYTES + PAYLOAD, 0x00088b1f); // gzip
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    assert_int_equal(fixture->entry.rip, PREFERRED + 0x200);
    fixture_free(fixture);

    // No room to unpack beside the kernel.
    fixture = fixture_new(PREFERRED + INIT_SIZE);
    make_bzimage(PREFERRED);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    assert_int_equal(fixture->entry.rip, PREFERRED + 0x200);
    fixture_free(fixture);
}

static void test_relocation(void **state)
{
    struct fixture *fixture = fixture_new(PREFERRED);

    (void)state;
    make_bzimage(PREFERRED);
    fixture->request.linux_entry = LOAD_LINUX_BZIMAGE;
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    assert_int_equal(fixture->entry.rip, 0x200000 + 0x200);
    image[0x234] = 0;
    refuse(fixture, STATUS_NO_MEMORY, "kernel.img: init_size: found 0x800000", "more memory");
}

static void test_initrd(void **state)
{
    struct fixture *fixture = new_linux();

    (void)state;
    put32(image + 0x22c, 0x2ffffff);
    fixture_initrd(fixture, 10000);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    const uint8_t *params = fixture->ram + fixture->entry.gpr[GPR_RSI];
    assert_int_equal(get32(params + 0x218), (0x3000000 - 10000) & ~0xfff);
    assert_memory_equal(fixture->ram + get32(params + 0x218), fixture->request.initrd.bytes, 10000);
    fixture_free(fixture);
}

static void test_initrd_exactly_fits(void **state)
{
    struct fixture *fixture = new_linux();
    uint64_t room = TEST_MEMORY - PREFERRED - INIT_SIZE;

    (void)state;
    fixture->request.linux_entry = LOAD_LINUX_BZIMAGE;
    fixture_initrd(fixture, room);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    fixture_initrd(fixture, room + 1);
    refuse(fixture, STATUS_NO_MEMORY, "initrd.img: size: found 41943041",
           "expected at most 41943040");
}

static void test_initrd_above_4g(void **state)
{
    struct fixture *fixture = fixture_new(LOAD_MEMORY_LOW);
    uint64_t high = 64ull << 20;
    uint8_t *ram = malloc(high);

    (void)state;
    assert_non_null(ram);
    make_bzimage(PREFERRED);
    assert_int_equal(guest_memory_add(&fixture->memory, gpa(LOAD_MEMORY_HIGH), high, ram, false),
                     STATUS_OK);
    fixture->request.memory_bytes = LOAD_MEMORY_LOW + high;
    fixture->request.linux_entry = LOAD_LINUX_BZIMAGE;
    put32(image + 0x22c, PREFERRED); // no room below
    fixture_initrd(fixture, 5000);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    const uint8_t *params = fixture->ram + fixture->entry.gpr[GPR_RSI];
    assert_int_equal(get32(params + 0x0c0), 1);
    uint64_t address = 1ull << 32 | get32(params + 0x218);
    assert_int_equal(address, LOAD_MEMORY_HIGH + ((high - 5000) & ~0xfffull));
    assert_memory_equal(ram + (address - LOAD_MEMORY_HIGH), fixture->request.initrd.bytes, 5000);
    assert_int_equal(params[0x1e8], 4);
    assert_int_equal(get64(params + 0x2d0 + 60), LOAD_MEMORY_HIGH);
    assert_int_equal(get64(params + 0x2d0 + 68), high);

    put16(image + 0x236, 1); // may not lie there
    refuse(fixture, STATUS_NO_MEMORY, "initrd.img: size", "expected at most 0");
    free(ram);
}

static void test_command_line_limit(void **state)
{
    struct fixture *fixture = new_linux();
    char line[2049];

    (void)state;
    memset(line, 'a', sizeof(line));
    line[2047] = '\0';
    fixture->request.command_line = line;
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    line[2047] = 'a';
    line[2048] = '\0';
    refuse(fixture, STATUS_INVALID, "kernel.img: command line: found 2048 bytes",
           "expected at most 2047");
}

static void test_module_refusal(void **state)
{
    struct fixture *fixture = new_linux();

    (void)state;
    fixture_module(fixture, "x", 1, NULL);
    refuse(fixture, STATUS_INVALID, "kernel.img: modules: found 1", "initrd");
}

static void test_protocol_refusals(void **state)
{
    struct fixture *fixture = new_linux();

    (void)state;
    put16(image + 0x1fe, 0);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: boot_flag: found 0x0", "expected 0xaa55");
    fixture = new_linux();
    put16(image + 0x206, 0x020b);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: version: found boot protocol 2.11",
           "expected 2.12");
    fixture = new_linux();
    put16(image + 0x236, 2);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: xloadflags: found 0x2", "32-bit only");
    fixture = new_linux();
    image[0x202] = 'X';
    fixture->request.type = LOAD_LINUX;
    refuse(fixture, STATUS_MALFORMED, "kernel.img: setup header: found no \"HdrS\"", "bzImage");
}

static void test_field_refusals(void **state)
{
    struct fixture *fixture = new_linux();

    (void)state;
    put32(image + 0x1f4, 0x20);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: syssize: found 512", "more than 512");
    fixture = new_linux();
    put32(image + 0x248, IMAGE_BYTES);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: payload_offset and payload_length", "0x4000");
    fixture = new_linux();
    put32(image + 0x24c, UINT32_MAX);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: payload_offset and payload_length",
           "0xffffffff");
    fixture = new_linux();
    put32(image + 0x230, 0x300000);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: kernel_alignment: found 0x300000",
           "power of two");
    fixture = new_linux();
    put32(image + 0x230, 0);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: kernel_alignment: found 0x0", "power of two");
    fixture = new_linux();
    put32(image + 0x260, 0x100);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: init_size: found 0x100", "0x4000");
    fixture = new_linux();
    put32(image + 0x260, UINT32_MAX);
    refuse(fixture, STATUS_NO_MEMORY, "kernel.img: init_size: found 0xffffffff", "more memory");
    fixture = new_linux();
    put64(image + 0x258, UINT64_MAX - 0x1000);
    image[0x234] = 0;
    refuse(fixture, STATUS_NO_MEMORY, "kernel.img: init_size", "more memory");
}

static void test_truncations(void **state)
{
    struct fixture *fixture = new_linux();
    static const uint32_t cuts[] = {SETUP_BYTES, SETUP_BYTES + 0x400,
                                    SETUP_BYTES + IMAGE_BYTES - 1};

    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(cuts); i++) {
        fixture_kernel(fixture, image, cuts[i]);
        fixture_refuse(fixture, STATUS_MALFORMED, "kernel.img: setup_sects and syssize",
                       "truncated");
    }
    fixture_kernel(fixture, image, 0x230);
    fixture_refuse(fixture, STATUS_MALFORMED, "kernel.img: setup header: found a file of 560 bytes",
                   "truncated");
    fixture_free(fixture);
}

static void test_damaged_payload(void **state)
{
    struct fixture *fixture = new_linux();

    (void)state;
    put32(image + SETUP_BYTES + PAYLOAD + 4, 0x3000); // the block's length
    refuse(fixture, STATUS_MALFORMED, "kernel.img: payload: found damaged LZ4 data", "0x804");
    // What is inside has to be a sound kernel, too, and must not be placed over its own copy.
    fixture = fixture_new(TEST_MEMORY);
    make_bzimage(TEST_MEMORY - 0x2000);
    refuse(fixture, STATUS_NO_MEMORY, "kernel.img: segment 0, p_paddr and p_memsz", "0x3ffe000");
}

static void test_vmlinux_as_linux(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);
    uint8_t elf[0x2000];

    (void)state;
    make_elf64(elf, PREFERRED, 0xffffffff81000000ull);
    fixture->request.type = LOAD_LINUX;
    fixture_kernel(fixture, elf, sizeof(elf));
    fixture_accept(fixture);
    assert_int_equal(fixture->entry.rip, PREFERRED);
    fixture_free(fixture);
}

static void test_mutations(void **state)
{
    struct fixture *fixture = new_linux();

    (void)state;
    random_seed(31);
    fixture_initrd(fixture, 100);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_mutate(fixture, 2500);
    fixture->request.linux_entry = LOAD_LINUX_BZIMAGE;
    fixture_mutate(fixture, 1500);
    fixture_free(fixture);
}

static void test_real_image(void **state)
{
    const char *path = getenv("GATEHOUSE_TEST_BZIMAGE");
    FILE *file = path == NULL ? NULL : fopen(path, "rb");

    (void)state;
    if (file == NULL) {
        skip();
    }
    struct fixture *fixture = fixture_new(256ull << 20);
    uint8_t *bytes = malloc(64 << 20);
    assert_non_null(bytes);
    uint64_t size = fread(bytes, 1, 64 << 20, file);
    fclose(file);
    fixture_kernel(fixture, bytes, size);
    free(bytes);
    fixture_accept(fixture);
    printf("%s\n", fixture->entry.summary);
    fixture->request.linux_entry = LOAD_LINUX_BZIMAGE;
    fixture_accept(fixture);
    printf("%s\n", fixture->entry.summary);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unpack),          cmocka_unit_test(test_whole_image),
        cmocka_unit_test(test_fall_back),       cmocka_unit_test(test_relocation),
        cmocka_unit_test(test_initrd),          cmocka_unit_test(test_initrd_exactly_fits),
        cmocka_unit_test(test_initrd_above_4g), cmocka_unit_test(test_command_line_limit),
        cmocka_unit_test(test_module_refusal),  cmocka_unit_test(test_protocol_refusals),
        cmocka_unit_test(test_field_refusals),  cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_damaged_payload), cmocka_unit_test(test_vmlinux_as_linux),
        cmocka_unit_test(test_mutations),       cmocka_unit_test(test_real_image),
    };

    return cmocka_run_group_tests_name("load_linux", tests, NULL, NULL);
}
