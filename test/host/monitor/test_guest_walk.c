// SPDX-License-Identifier: MIT
// The guest page walk: every format and page size, every combination of rights against a second
// formulation of the rules, accessed and dirty bits, reserved bits, and the emulator's access path.
#include "vmm/devices/bus.h"
#include "vmm/devices/guest_memory.h"
#include "vmm/monitor/guest_access.h"
#include "vmm/monitor/guest_walk.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define RAM_BYTES 0x40000u
#define ROM_START 0x100000ull
#define ROM_BYTES 0x2000u

#define P  1ull
#define W  2ull
#define U  4ull
#define A  0x20ull
#define D  0x40ull
#define PS 0x80ull
#define NX (1ull << 63)

#define CR0_PAGING 0x80000001ull
#define CR0_WP     0x10000ull
#define CR4_PSE    0x10ull
#define CR4_PAE    0x20ull
#define CR4_LA57   0x1000ull
#define CR4_SMEP   0x100000ull
#define CR4_SMAP   0x200000ull
#define EFER_LONG  0x500ull
#define EFER_NXE   0x800ull
#define AC         0x40000ull

static uint8_t ram[RAM_BYTES] __attribute__((aligned(4096)));
static uint8_t rom[ROM_BYTES] __attribute__((aligned(4096)));
static struct guest_memory memory;
static struct guest_paging paging;
static struct emulate_fault fault;
static gpa_t where;

static int set_up(void **state)
{
    (void)state;
    memset(ram, 0, sizeof(ram));
    memset(rom, 0, sizeof(rom));
    guest_memory_init(&memory);
    assert_int_equal(guest_memory_add(&memory, gpa(0), RAM_BYTES, ram, false), STATUS_OK);
    assert_int_equal(guest_memory_add(&memory, gpa(ROM_START), ROM_BYTES, rom, true), STATUS_OK);
    paging = (struct guest_paging){.cr0 = CR0_PAGING | CR0_WP,
                                   .cr3 = 0x1018, // PWT and PCD set: not part of the address
                                   .cr4 = CR4_PAE,
                                   .efer = EFER_LONG | EFER_NXE};
    return 0;
}

static void put64(uint64_t table, unsigned index, uint64_t entry)
{
    memcpy(&ram[table + 8ull * index], &entry, 8);
}

static uint64_t get64(uint64_t table, unsigned index)
{
    uint64_t entry;

    memcpy(&entry, &ram[table + 8ull * index], 8);
    return entry;
}

static void put32(uint64_t table, unsigned index, uint32_t entry)
{
    memcpy(&ram[table + 4ull * index], &entry, 4);
}

static enum status walk(uint64_t address, uint32_t access)
{
    return guest_walk(&memory, &paging, gva(address), access, &where, &fault);
}

static void assert_maps(uint64_t address, uint32_t access, uint64_t physical)
{
    assert_int_equal(walk(address, access), STATUS_OK);
    assert_int_equal(where.value, physical);
}

static void assert_faults(uint64_t address, uint32_t access, uint32_t error_code)
{
    assert_int_equal(walk(address, access), STATUS_FAULT);
    assert_int_equal(fault.vector, EMULATE_VECTOR_PAGE);
    assert_true(fault.has_error_code);
    assert_int_equal(fault.error_code, error_code);
    assert_int_equal(fault.address, address);
}

// PML4 0x1000, PDPT 0x2000, PD 0x3000, PT 0x4000.
static void map_long(uint64_t address, uint64_t upper, uint64_t leaf)
{
    put64(0x1000, (address >> 39) & 511, 0x2000 | upper);
    put64(0x2000, (address >> 30) & 511, 0x3000 | upper);
    put64(0x3000, (address >> 21) & 511, 0x4000 | upper);
    put64(0x4000, (address >> 12) & 511, leaf);
}

#define HIGH 0xffff812345678000ull

static void test_long_sizes(void **state)
{
    (void)state;
    map_long(HIGH, P | W | U, 0x000ffffffffff000ull | P | W);
    assert_maps(HIGH + 0xabc, EMULATE_READ, 0x000ffffffffffabcull);
    put64(0x3000, (HIGH >> 21) & 511, 0x40000000ull | P | PS);
    assert_maps(HIGH, EMULATE_READ, 0x40000000ull | (HIGH & 0x1fffff));
    put64(0x2000, (HIGH >> 30) & 511, 0x1c0000000ull | P | PS);
    assert_maps(HIGH, EMULATE_READ, 0x1c0000000ull | (HIGH & 0x3fffffff));
    put64(0x1000, (HIGH >> 39) & 511, 0x2000 | P | PS); // no page of this size
    assert_faults(HIGH, EMULATE_READ, 9);
}

static void test_not_present(void **state)
{
    static const uint64_t tables[] = {0x1000, 0x2000, 0x3000, 0x4000};
    static const unsigned shifts[] = {39, 30, 21, 12};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        map_long(HIGH, P | W | U, 0x9000 | P | W | U);
        put64(tables[i], (HIGH >> shifts[i]) & 511, ~P);
        assert_faults(HIGH, EMULATE_READ, 0);
        assert_faults(HIGH, EMULATE_WRITE, 2);
        assert_faults(HIGH, EMULATE_FETCH, 0x10);
        paging.user = true;
        assert_faults(HIGH, EMULATE_READ | EMULATE_WRITE, 6);
        paging.user = false;
    }
}

static void test_table_outside_memory(void **state)
{
    (void)state;
    map_long(HIGH, P | W | U, 0x9000 | P);
    put64(0x3000, (HIGH >> 21) & 511, 0x80000000ull | P);
    assert_faults(HIGH, EMULATE_READ, 0);
    paging.cr3 = 0x000ffffffffff000ull;
    assert_faults(HIGH, EMULATE_READ, 0);
}

static void test_reserved(void **state)
{
    (void)state;
    map_long(HIGH, P | W | U, 0x9000 | P | NX);
    paging.efer = EFER_LONG;
    assert_faults(HIGH, EMULATE_READ, 9); // NX without EFER.NXE
    paging.efer |= EFER_NXE;
    put64(0x3000, (HIGH >> 21) & 511, 0x40002000ull | P | PS); // bit 13 of a 2 MiB page
    assert_faults(HIGH, EMULATE_WRITE, 11);
    put64(0x3000, (HIGH >> 21) & 511, 0x40001000ull | P | PS); // bit 12 is PAT
    assert_maps(HIGH, EMULATE_READ, 0x40000000ull | (HIGH & 0x1fffff));
    put64(0x2000, (HIGH >> 30) & 511, 0x00200000ull | P | PS); // bit 21 of a 1 GiB page
    assert_faults(HIGH, EMULATE_READ, 9);
}

// The rules once more, the way the manual lists them; returns the error code, or -1 for allowed.
static int expected_rights(uint64_t upper, uint64_t leaf, uint32_t access)
{
    bool user_page = (upper & U) && (leaf & U);
    bool writable = (upper & W) && (leaf & W);
    bool executable = !(upper & NX) && !(leaf & NX);
    bool write = access & EMULATE_WRITE;
    bool fetch = access & EMULATE_FETCH;
    bool allowed = true;

    if (paging.user)
        allowed = user_page && (!write || writable) && (!fetch || executable);
    else if (fetch)
        allowed = executable && !(user_page && (paging.cr4 & CR4_SMEP));
    else if (user_page && (paging.cr4 & CR4_SMAP) && !(paging.rflags & AC))
        allowed = false;
    else if (write)
        allowed = writable || !(paging.cr0 & CR0_WP);
    if (allowed)
        return -1;
    return 1 | (write ? 2 : 0) | (paging.user ? 4 : 0) | (fetch ? 16 : 0);
}

static void check_rights(uint64_t upper, uint64_t leaf)
{
    static const uint32_t kinds[] = {EMULATE_READ, EMULATE_WRITE, EMULATE_READ | EMULATE_WRITE,
                                     EMULATE_FETCH};

    for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
        int expected = expected_rights(upper, leaf, kinds[i]);

        map_long(HIGH, P | upper, 0x9000 | P | leaf);
        if (expected < 0)
            assert_maps(HIGH + 5, kinds[i], 0x9005);
        else
            assert_faults(HIGH + 5, kinds[i], (uint32_t)expected);
    }
}

static void test_rights(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 32; i++) {
        paging.user = i & 1;
        paging.cr0 = CR0_PAGING | (i & 2 ? CR0_WP : 0);
        paging.cr4 = CR4_PAE | (i & 4 ? CR4_SMEP : 0) | (i & 8 ? CR4_SMAP : 0);
        paging.rflags = i & 16 ? AC : 0;
        for (unsigned bits = 0; bits < 64; bits++)
            check_rights((bits & 1 ? U : 0) | (bits & 2 ? W : 0) | (bits & 4 ? NX : 0),
                         (bits & 8 ? U : 0) | (bits & 16 ? W : 0) | (bits & 32 ? NX : 0));
    }
}

static void test_accessed_dirty(void **state)
{
    (void)state;
    map_long(HIGH, P | W, 0x9000 | P | W);
    assert_maps(HIGH, EMULATE_READ, 0x9000);
    assert_int_equal(get64(0x1000, (HIGH >> 39) & 511), 0x2000 | P | W | A);
    assert_int_equal(get64(0x2000, (HIGH >> 30) & 511), 0x3000 | P | W | A);
    assert_int_equal(get64(0x3000, (HIGH >> 21) & 511), 0x4000 | P | W | A);
    assert_int_equal(get64(0x4000, (HIGH >> 12) & 511), 0x9000 | P | W | A);
    assert_maps(HIGH, EMULATE_WRITE, 0x9000);
    assert_int_equal(get64(0x3000, (HIGH >> 21) & 511), 0x4000 | P | W | A);
    assert_int_equal(get64(0x4000, (HIGH >> 12) & 511), 0x9000 | P | W | A | D);

    map_long(HIGH, P, 0x9000 | P | W);
    assert_faults(HIGH, EMULATE_WRITE, 3);
    assert_int_equal(get64(0x4000, (HIGH >> 12) & 511), 0x9000 | P | W);
}

static void test_tables_in_rom(void **state)
{
    uint64_t entry = 0x9000 | P | W;
    uint64_t before = entry;

    (void)state;
    map_long(HIGH, P | W, 0);
    put64(0x3000, (HIGH >> 21) & 511, ROM_START | P | W);
    memcpy(&rom[8 * ((HIGH >> 12) & 511)], &entry, 8);
    assert_maps(HIGH, EMULATE_WRITE, 0x9000);
    memcpy(&entry, &rom[8 * ((HIGH >> 12) & 511)], 8);
    assert_int_equal(entry, before);
}

static void test_pae(void **state)
{
    (void)state;
    paging.efer = EFER_NXE;
    paging.cr3 = 0x1020; // 32-byte aligned
    put64(0x1020, 3, 0x3000 | P);
    put64(0x3000, 0x1ff, 0x4000 | P | W | U);
    put64(0x4000, 0x1fe, 0x123456000ull | P | W | U);
    assert_maps(0xffffe010u, EMULATE_WRITE, 0x123456010ull);
    assert_maps(0x1ffffe010ull, EMULATE_READ, 0x123456010ull); // wraps at 4 GiB
    assert_int_equal(get64(0x1020, 3), 0x3000 | P);            // no accessed bit here
    assert_int_equal(get64(0x3000, 0x1ff), 0x4000 | P | W | U | A);
    paging.user = true; // the top level has no rights to give or take
    assert_maps(0xffffe010u, EMULATE_WRITE, 0x123456010ull);
    put64(0x3000, 0x1ff, 0x500000000ull | P | W | U | PS);
    assert_maps(0xffffe010u, EMULATE_READ, 0x5001fe010ull);
    put64(0x3000, 0x1ff, 0x500000000ull | P | W | U | PS | 1ull << 60);
    assert_faults(0xffffe010u, EMULATE_READ, 13);
    put64(0x3000, 0x1ff, 0x500000000ull | P | W | U | PS | NX);
    assert_faults(0xffffe010u, EMULATE_FETCH, 21);
}

static void test_legacy(void **state)
{
    uint32_t entry;

    (void)state;
    paging.cr4 = 0;
    paging.efer = EFER_NXE;
    put32(0x1000, 0x3ff, 0x4000 | 7);
    put32(0x4000, 0x3fe, 0xabcde000u | 7);
    assert_maps(0xffffe123u, EMULATE_WRITE, 0xabcde123u);
    memcpy(&entry, &ram[0x4000 + 4 * 0x3fe], 4);
    assert_int_equal(entry, 0xabcde067u);
    put32(0x4000, 0x3fe, 0xabcde000u | 5);
    assert_faults(0xffffe123u, EMULATE_WRITE, 3);
    paging.cr0 = CR0_PAGING; // without WP the kernel writes anywhere
    assert_maps(0xffffe123u, EMULATE_WRITE, 0xabcde123u);
    assert_maps(0xffffe123u, EMULATE_FETCH, 0xabcde123u);
    put32(0x4000, 0x3fe, 0);
    assert_faults(0xffffe123u, EMULATE_FETCH, 0); // no NX here, so no such bit
}

static void test_legacy_large(void **state)
{
    (void)state;
    paging.cr4 = CR4_PSE;
    paging.efer = 0;
    put32(0x1000, 0x200, 0x00c00000u | 0x1fe000u | 0x87);
    assert_maps(0x80345678u, EMULATE_READ, 0xff00c00000ull | 0x345678);
    put32(0x1000, 0x200, 0x00c00000u | 0x200000u | 0x87); // bit 21 is reserved
    assert_faults(0x80345678u, EMULATE_READ, 9);
    paging.cr4 = 0; // PS means nothing now: a table
    put32(0x1000, 0x200, 0x4000 | 0x87);
    put32(0x4000, 0x345, 0x9000 | 7);
    assert_maps(0x80345678u, EMULATE_READ, 0x9678);
}

static void test_paging_off_and_refused(void **state)
{
    (void)state;
    paging.cr4 |= CR4_LA57;
    assert_int_equal(walk(HIGH, EMULATE_READ), STATUS_UNSUPPORTED);
    paging.cr0 = 1;
    paging.efer = 0;
    assert_maps(0xfffffff0u, EMULATE_FETCH, 0xfffffff0u);
}

static void test_paging_of(void **state)
{
    struct vcpu_page page = {.cr0 = 1, .cr3 = 2, .cr4 = 3, .efer = 4, .rflags = 5};
    struct guest_paging taken;

    (void)state;
    page.segment[SEGMENT_SS].access_rights = 0x93;
    taken = guest_paging_of(&page);
    assert_true(taken.cr0 == 1 && taken.cr3 == 2 && taken.cr4 == 3 && taken.efer == 4);
    assert_true(taken.rflags == 5 && !taken.user);
    page.segment[SEGMENT_SS].access_rights = 0xf3;
    assert_true(guest_paging_of(&page).user);
}

// --- guest_access ---------------------------------------------------------------------------

struct latch {
    struct device device;
    uint8_t bytes[64];
    unsigned last_size;
    unsigned accesses;
};

static uint64_t latch_read(struct device *device, uint32_t reg, unsigned size)
{
    struct latch *latch = CONTAINER_OF(device, struct latch, device);
    uint64_t value = 0;

    memcpy(&value, &latch->bytes[reg], size);
    latch->last_size = size;
    latch->accesses++;
    return value;
}

static void latch_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    struct latch *latch = CONTAINER_OF(device, struct latch, device);

    memcpy(&latch->bytes[reg], &value, size);
    latch->last_size = size;
    latch->accesses++;
}

static const struct device_ops latch_ops = {
    .name = "latch", .read = latch_read, .write = latch_write};

static struct latch latch;
static struct mmio_bus mmio;
static struct port_bus ports;
static struct guest_access path;
static struct vcpu_page page;

#define DEVICE 0xfed00000ull

// Long mode; 0x5000 is RAM at 0x8000, 0x6000 the device, 0x7000 the ROM, 0x8000 missing.
static int set_up_access(void **state)
{
    unsigned widths = BUS_BYTE | BUS_WORD | BUS_DWORD | BUS_QWORD;

    set_up(state);
    map_long(0, P | W | U, 0);
    put64(0x4000, 5, 0x8000 | P | W);
    put64(0x4000, 6, DEVICE | P | W);
    put64(0x4000, 7, ROM_START | P | W);
    latch = (struct latch){.device = {&latch_ops}};
    mmio_bus_init(&mmio);
    port_bus_init(&ports);
    assert_int_equal(mmio_bus_attach(&mmio, &latch.device, gpa(DEVICE), 64, widths), STATUS_OK);
    assert_int_equal(port_bus_attach(&ports, &latch.device, 0x80, 0x9f, 0, BUS_BYTE), STATUS_OK);
    guest_access_init(&path, &memory, &mmio, &ports);
    memset(&page, 0, sizeof(page));
    page.cr0 = paging.cr0;
    page.cr3 = paging.cr3;
    page.cr4 = paging.cr4;
    page.efer = paging.efer;
    page.valid = VCPU_GROUP_ALL;
    page.segment[SEGMENT_CS].access_rights = 0xa09b;
    page.rip = 0x5000;
    guest_access_start(&path, &page);
    return 0;
}

static enum status path_read(uint64_t address, void *buffer, uint32_t size, uint32_t access)
{
    return guest_access_operations.read(&path, gva(address), buffer, size, access, &fault);
}

static enum status path_write(uint64_t address, const void *buffer, uint32_t size)
{
    return guest_access_operations.write(&path, gva(address), buffer, size, &fault);
}

static void test_access_crosses_into_device(void **state)
{
    const char *text = "abcdefgh";
    char back[9] = {0};

    (void)state;
    assert_int_equal(path_write(0x5ffd, text, 8), STATUS_OK);
    assert_memory_equal(&ram[0x8ffd], "abc", 3);
    assert_memory_equal(latch.bytes, "defgh", 5);
    assert_int_equal(latch.accesses, 2); // 4 bytes and 1
    assert_int_equal(path_read(0x5ffd, back, 8, EMULATE_READ), STATUS_OK);
    assert_string_equal(back, text);
}

static void test_access_keeps_size(void **state)
{
    static const unsigned sizes[] = {1, 2, 4, 8};
    uint64_t value = 0x8877665544332211ull;

    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(sizes); i++) {
        assert_int_equal(path_write(0x6008, &value, sizes[i]), STATUS_OK);
        assert_int_equal(latch.last_size, sizes[i]);
        assert_int_equal(latch.accesses, i + 1);
    }
}

static void test_access_faults_first(void **state)
{
    uint64_t value = ~0ull;

    (void)state;
    put64(0x4000, 7, 0);
    assert_int_equal(path_write(0x6ffc, &value, 8), STATUS_FAULT);
    assert_int_equal(fault.address, 0x7000);
    assert_int_equal(fault.error_code, 2);
    assert_int_equal(latch.accesses, 0);
    assert_int_equal(guest_access_operations.probe(&path, gva(0x6ffc), 8, EMULATE_READ, &fault),
                     STATUS_FAULT);
    assert_int_equal(guest_access_operations.probe(&path, gva(0x6ff8), 8, EMULATE_READ, &fault),
                     STATUS_OK);
}

static void test_access_rom(void **state)
{
    uint32_t value = 0x12345678;

    (void)state;
    assert_int_equal(path_write(0x7000, &value, 4), STATUS_OK);
    assert_int_equal(rom[0], 0);
    assert_int_equal(path.dropped_writes, 1);
    assert_int_equal(path_read(0x6000, &value, 4, EMULATE_FETCH), STATUS_NOT_FOUND);
}

// The processor's translation stands in for a walk, for the accesses it was made for.
static void test_access_known_translation(void **state)
{
    uint32_t value = 0;

    (void)state;
    page.exit.kind = EXIT_MEMORY;
    page.exit.memory.gva = 0x123456789010ull;
    page.exit.memory.gva_valid = 1;
    page.exit.memory.gpa = DEVICE | 0x10;
    page.exit.memory.read = 1;
    guest_access_start(&path, &page);
    assert_int_equal(path_read(0x123456789020ull, &value, 4, EMULATE_READ), STATUS_OK);
    assert_int_equal(latch.accesses, 1);
    assert_int_equal(path_write(0x123456789020ull, &value, 4), STATUS_FAULT);
    assert_int_equal(path_read(0x123456789020ull, &value, 4, EMULATE_FETCH), STATUS_FAULT);
    page.exit.memory.write = 1;
    guest_access_start(&path, &page);
    assert_int_equal(path_write(0x123456789020ull, &value, 4), STATUS_OK);
    page.exit.memory.in_page_walk = 1;
    guest_access_start(&path, &page);
    assert_int_equal(path_write(0x123456789020ull, &value, 4), STATUS_FAULT);
}

// All of it together: an instruction in RAM works on the device and on a port.
static void test_access_emulates(void **state)
{
    static const uint8_t code[] = {0x83, 0x0c, 0x25, 0x00, 0x60, 0x00, 0x00, 0x40, // or dword, 0x40
                                   0x6e};                                          // outsb
    struct emulate_result result;

    (void)state;
    memcpy(&ram[0x8000], code, sizeof(code));
    latch.bytes[0] = 3;
    emulate_instruction(&page, &guest_access_operations, &path, &result);
    assert_int_equal(result.outcome, EMULATE_DONE);
    assert_int_equal(latch.bytes[0], 0x43);
    page.gpr[GPR_RSI] = 0x5000;
    page.gpr[GPR_RDX] = 0x85;
    emulate_instruction(&page, &guest_access_operations, &path, &result);
    assert_int_equal(result.outcome, EMULATE_DONE);
    assert_int_equal(latch.bytes[5], 0x83);
    assert_int_equal(page.rip, 0x5009);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_long_sizes, set_up),
        cmocka_unit_test_setup(test_not_present, set_up),
        cmocka_unit_test_setup(test_table_outside_memory, set_up),
        cmocka_unit_test_setup(test_reserved, set_up),
        cmocka_unit_test_setup(test_rights, set_up),
        cmocka_unit_test_setup(test_accessed_dirty, set_up),
        cmocka_unit_test_setup(test_tables_in_rom, set_up),
        cmocka_unit_test_setup(test_pae, set_up),
        cmocka_unit_test_setup(test_legacy, set_up),
        cmocka_unit_test_setup(test_legacy_large, set_up),
        cmocka_unit_test_setup(test_paging_off_and_refused, set_up),
        cmocka_unit_test_setup(test_paging_of, set_up),
        cmocka_unit_test_setup(test_access_crosses_into_device, set_up_access),
        cmocka_unit_test_setup(test_access_keeps_size, set_up_access),
        cmocka_unit_test_setup(test_access_faults_first, set_up_access),
        cmocka_unit_test_setup(test_access_rom, set_up_access),
        cmocka_unit_test_setup(test_access_known_translation, set_up_access),
        cmocka_unit_test_setup(test_access_emulates, set_up_access),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
