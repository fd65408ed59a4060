// SPDX-License-Identifier: MIT
// ELF64 kernels: placement, boot_params, the start state, and every refusal of the ELF reader.
#include <stdlib.h>
#include <string.h>
#include "test/host/load/fixture.h"

#define PHYSICAL 0x200000u

static uint8_t image[0x2000];

static struct fixture *new_elf(void)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    make_elf64(image, PHYSICAL, PHYSICAL);
    return fixture;
}

static void refuse(struct fixture *fixture, enum status status, const char *begin,
                   const char *found)
{
    fixture->request.type = LOAD_ELF;
    fixture_kernel(fixture, image, sizeof(image));
    fixture_refuse(fixture, status, begin, found);
    fixture_free(fixture);
}

static void test_segments(void **state)
{
    struct fixture *fixture = new_elf();

    (void)state;
    memset(fixture->ram + PHYSICAL, 0xcc, 0x3000);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    assert_int_equal(fixture->entry.type, LOAD_ELF);
    assert_memory_equal(fixture->ram + PHYSICAL, image + 0x1000, 0x1000);
    for (unsigned i = 0x1000; i < 0x2000; i++) {
        assert_int_equal(fixture->ram[PHYSICAL + i], 0);
    }
    assert_int_equal(fixture->ram[PHYSICAL + 0x2000], 0xcc);
    fixture_free(fixture);
}

static void test_entry_state(void **state)
{
    struct fixture *fixture = new_elf();
    const struct load_entry *entry = &fixture->entry;

    (void)state;
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    assert_int_equal(entry->mode, LOAD_MODE_LONG);
    assert_int_equal(entry->rip, PHYSICAL);
    assert_int_equal(entry->rflags, 2);
    assert_int_equal(entry->gpr[GPR_RSI], 0x7000);
    assert_int_equal(entry->gpr[GPR_RSP], LOAD_LOW_STACK);
    assert_int_equal(entry->cr0, 0x80000011);
    assert_int_equal(entry->cr4, 0x20);
    assert_int_equal(entry->efer, 0x500);
    assert_int_equal(entry->segment[SEGMENT_CS].selector, 0x10);
    assert_int_equal(entry->segment[SEGMENT_CS].access_rights, 0xa09b);
    assert_int_equal(entry->segment[SEGMENT_SS].selector, 0x18);
    assert_int_equal(entry->segment[SEGMENT_SS].access_rights, 0xc093);
    assert_int_equal(entry->segment[SEGMENT_TR].access_rights, 0x8b);
    assert_int_equal(entry->segment[SEGMENT_LDTR].access_rights, SEGMENT_UNUSABLE);
    // The GDT in memory says the same.
    const uint8_t *gdt = fixture->ram + entry->gdtr.base;
    assert_int_equal(get64(gdt + 0x10), 0x00af9b000000ffffull);
    assert_int_equal(get64(gdt + 0x18), 0x00cf93000000ffffull);
    fixture_free(fixture);
}

// Walks the page tables as the processor does.
static uint64_t translate(const struct fixture *fixture, uint64_t linear)
{
    const uint8_t *ram = fixture->ram;
    uint64_t table = fixture->entry.cr3;
    uint64_t row = get64(ram + table + (linear >> 39 & 511) * 8);

    assert_int_equal(row & 3, 3);
    row = get64(ram + (row & ~0xfffull) + (linear >> 30 & 511) * 8);
    assert_int_equal(row & 0x83, 3);
    row = get64(ram + (row & ~0xfffull) + (linear >> 21 & 511) * 8);
    assert_int_equal(row & 0x83, 0x83);
    return (row & ~0x1fffffull) + (linear & 0x1fffff);
}

static void test_identity_map(void **state)
{
    struct fixture *fixture = new_elf();
    static const uint64_t probes[] = {0,          0x7000,     PHYSICAL,  0x3fffffff,
                                      0x40000000, 0xfee00000, 0xffffffff};

    (void)state;
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    for (unsigned i = 0; i < ARRAY_COUNT(probes); i++) {
        assert_int_equal(translate(fixture, probes[i]), probes[i]);
    }
    fixture_free(fixture);
}

static void test_boot_params(void **state)
{
    struct fixture *fixture = new_elf();
    const uint8_t *params = fixture->ram + 0x7000;

    (void)state;
    fixture->request.command_line = "console=ttyS0 quiet";
    fixture->request.rsdp = 0xe0000;
    fixture_initrd(fixture, 5000);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    assert_int_equal(get64(params + 0x70), 0xe0000);
    assert_int_equal(get32(params + 0x202), 0x53726448);
    assert_int_equal(params[0x210], 0xff);
    assert_int_equal(params[0x1ef], 0); // the sentinel: says that the page was cleared
    assert_string_equal((const char *)fixture->ram + get32(params + 0x228), "console=ttyS0 quiet");
    uint64_t initrd = get32(params + 0x218);
    assert_int_equal(initrd, (TEST_MEMORY - 5000) & ~0xfffull);
    assert_int_equal(get32(params + 0x21c), 5000);
    assert_memory_equal(fixture->ram + initrd, fixture->request.initrd.bytes, 5000);
    assert_int_equal(params[0x1e8], 3);
    assert_int_equal(get64(params + 0x2d0 + 8), LOAD_LOW_FREE_END);
    assert_int_equal(get32(params + 0x2d0 + 16), 1);
    assert_int_equal(get64(params + 0x2e4), LOAD_LOW_FREE_END);
    assert_int_equal(get32(params + 0x2e4 + 16), 2);
    assert_int_equal(get64(params + 0x2f8), 0x100000);
    assert_int_equal(get64(params + 0x2f8 + 8), TEST_MEMORY - 0x100000);
    fixture_free(fixture);
}

static void test_higher_half_entry(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    (void)state;
    make_elf64(image, PHYSICAL, 0xffffffff80000000ull);
    put64(image + 24, 0xffffffff80000123ull);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    assert_int_equal(fixture->entry.rip, PHYSICAL + 0x123);
    fixture_free(fixture);
}

static void test_identity_refusals(void **state)
{
    struct fixture *fixture = new_elf();

    (void)state;
    image[5] = 2;
    refuse(fixture, STATUS_MALFORMED, "kernel.img: EI_DATA: found 2", "expected 1");
    fixture = new_elf();
    put16(image + 18, 183);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: e_machine: found 183", "expected 62");
    fixture = new_elf();
    put16(image + 16, 3);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: e_type: found 3", "expected 2");
    fixture = new_elf();
    image[4] = 1;
    refuse(fixture, STATUS_MALFORMED, "kernel.img: ELF magic and class", "32-bit");
    fixture = new_elf();
    image[0] = 0;
    refuse(fixture, STATUS_MALFORMED, "kernel.img: ELF magic and class", "something else");
}

static void test_table_refusals(void **state)
{
    struct fixture *fixture = new_elf();

    (void)state;
    put16(image + 56, 0);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: e_phnum: found 0", "expected 1");
    fixture = new_elf();
    put16(image + 56, 0xffff);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: e_phnum: found 65535", "expected 1");
    fixture = new_elf();
    put16(image + 54, 32);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: e_phentsize: found 32", "expected 56");
    fixture = new_elf();
    put64(image + 32, 0x1fff);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: e_phoff: found", "0x1fff");
    fixture = new_elf();
    put64(image + 32, UINT64_MAX - 8);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: e_phoff: found", "truncated");
    fixture = new_elf();
    put32(image + 64, 4);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: program headers", "no loadable segment");
}

static void test_segment_refusals(void **state)
{
    struct fixture *fixture = new_elf();

    (void)state;
    put64(image + 64 + 8, 0x1001);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: segment 0, p_offset and p_filesz", "truncated");
    fixture = new_elf();
    put64(image + 64 + 8, UINT64_MAX);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: segment 0, p_offset and p_filesz", "truncated");
    fixture = new_elf();
    put64(image + 64 + 40, 0xfff);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: segment 0, p_filesz: found 0x1000", "0xfff");
    fixture = new_elf();
    put64(image + 64 + 24, 0xff000);
    refuse(fixture, STATUS_NO_MEMORY, "kernel.img: segment 0, p_paddr and p_memsz", "0xff000");
    fixture = new_elf();
    put64(image + 64 + 24, TEST_MEMORY - 0x1fff);
    refuse(fixture, STATUS_NO_MEMORY, "kernel.img: segment 0, p_paddr and p_memsz", "more memory");
    fixture = new_elf();
    put64(image + 64 + 24, UINT64_MAX - 0x1000);
    refuse(fixture, STATUS_NO_MEMORY, "kernel.img: segment 0, p_paddr and p_memsz", "more memory");
    fixture = new_elf();
    put64(image + 24, 0x100);
    refuse(fixture, STATUS_MALFORMED, "kernel.img: e_entry: found 0x100", "inside");
}

static void test_truncated_header(void **state)
{
    struct fixture *fixture = new_elf();

    (void)state;
    fixture_kernel(fixture, image, 40);
    fixture_refuse(fixture, STATUS_MALFORMED, "kernel.img: ELF header: found a file of 40 bytes",
                   "truncated");
    fixture_free(fixture);
}

static void test_segment_to_the_last_byte(void **state)
{
    struct fixture *fixture = fixture_new(TEST_MEMORY);

    (void)state;
    make_elf64(image, TEST_MEMORY - 0x2000, TEST_MEMORY - 0x2000);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_accept(fixture);
    fixture_free(fixture);
}

static void test_mutations(void **state)
{
    struct fixture *fixture = new_elf();

    (void)state;
    random_seed(11);
    fixture_kernel(fixture, image, sizeof(image));
    fixture_mutate(fixture, 4000);
    fixture_free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments),          cmocka_unit_test(test_entry_state),
        cmocka_unit_test(test_identity_map),      cmocka_unit_test(test_boot_params),
        cmocka_unit_test(test_higher_half_entry), cmocka_unit_test(test_identity_refusals),
        cmocka_unit_test(test_table_refusals),    cmocka_unit_test(test_segment_refusals),
        cmocka_unit_test(test_truncated_header),  cmocka_unit_test(test_segment_to_the_last_byte),
        cmocka_unit_test(test_mutations),
    };

    return cmocka_run_group_tests_name("load_elf", tests, NULL, NULL);
}
