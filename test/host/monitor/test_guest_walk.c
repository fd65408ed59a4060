// SPDX-License-Identifier: MIT
// The guest page walk: every format and page size, every combination of rights against a second
// formulation of the rules, accessed and dirty bits, reserved bits.
#include "test/host/monitor/paged_guest.h"

static struct emulate_fault fault;
static gpa_t where;

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_long_sizes, paged_guest_set_up),
        cmocka_unit_test_setup(test_not_present, paged_guest_set_up),
        cmocka_unit_test_setup(test_table_outside_memory, paged_guest_set_up),
        cmocka_unit_test_setup(test_reserved, paged_guest_set_up),
        cmocka_unit_test_setup(test_rights, paged_guest_set_up),
        cmocka_unit_test_setup(test_accessed_dirty, paged_guest_set_up),
        cmocka_unit_test_setup(test_tables_in_rom, paged_guest_set_up),
        cmocka_unit_test_setup(test_pae, paged_guest_set_up),
        cmocka_unit_test_setup(test_legacy, paged_guest_set_up),
        cmocka_unit_test_setup(test_legacy_large, paged_guest_set_up),
        cmocka_unit_test_setup(test_paging_off_and_refused, paged_guest_set_up),
        cmocka_unit_test_setup(test_paging_of, paged_guest_set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
