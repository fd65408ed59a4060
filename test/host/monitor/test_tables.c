// SPDX-License-Identifier: MIT
// LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT and STR, and the other instructions whose operand is in
// the instruction information: INVPCID, INVLPG, RDRAND. Operand and address sizes of all modes, and
// each fault with its error code.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "test/host/monitor/system_guest.h"

#define REASON_GDTR_IDTR 46u
#define REASON_LDTR_TR   47u
#define RIP              0x1000u
#define AT               0x6004u // the operand in memory

// "VM-Exit Instruction-Information Field" of these instructions.
#define NO_INDEX        (1u << 22)
#define NO_BASE         (1u << 27)
#define REGISTER        (1u << 10)
#define ADDRESS(size)   ((size) == 2 ? 0u : (size) == 4 ? 1u << 7 : 2u << 7)
#define IN(segment)     ((uint32_t)(segment) << 15)
#define BASE(gpr)       ((uint32_t)(gpr) << 23)
#define INDEX(gpr)      ((uint32_t)(gpr) << 18)
#define OPERAND(gpr)    ((uint32_t)(gpr) << 3)
#define SECOND_REG(gpr) ((uint32_t)(gpr) << 28)
#define SECOND          (1u << 28) // IDTR or TR
#define LOAD            (1u << 29)
#define DISPLACED       (NO_INDEX | NO_BASE | IN(SEGMENT_DS)) // [displacement]

static struct fixture *fixture;
static struct vcpu_page *page;

static int set_up(void **state)
{
    (void)state;
    fixture = system_guest_new();
    page = &fixture->page;
    page->idtr = (struct vcpu_table){.base = 0x12345678, .limit = 0x7ff};
    page->segment[SEGMENT_LDTR].selector = LOCAL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(fixture);
    return 0;
}

static void again(void **state)
{
    (void)tear_down(state);
    (void)set_up(state);
}

// Code of 16, 32 or 64 bits.
static void use_mode(unsigned bits)
{
    if (bits == 64) {
        map_64(fixture);
    } else if (bits == 16) {
        page->segment[SEGMENT_CS].access_rights &= ~SEGMENT_BIG;
    }
}

// The bytes at RIP tell the operand size: a prefix or none, then 0F.
static void set_prefix(uint8_t prefix)
{
    fixture->ram[RIP] = prefix;
    fixture->ram[RIP + (prefix != 0)] = 0x0f;
    page->exit.instruction_length = prefix != 0 ? 4 : 3;
}

static enum outcome execute(uint32_t kind, uint32_t reason, uint32_t information,
                            uint64_t displacement)
{
    page->exit.hardware_reason = reason;
    page->exit.instruction.information = information;
    page->exit.instruction.displacement = displacement;
    return fixture_handle(fixture, kind);
}

static enum outcome table(uint32_t information)
{
    return execute(EXIT_DESCRIPTOR_TABLE, REASON_GDTR_IDTR, information, AT);
}

static enum outcome selector(uint32_t information)
{
    return execute(EXIT_DESCRIPTOR_TABLE, REASON_LDTR_TR, information, AT);
}

// -- GDTR and IDTR ----------------------------------------------------------------------------

static void test_stored_tables(void **state)
{
    static const unsigned modes[] = {16, 32, 64};

    for (size_t i = 0; i < ARRAY_COUNT(modes); i++) {
        uint32_t width = modes[i] == 64 ? 8 : 4;

        use_mode(modes[i]);
        set_prefix(0);
        memset(fixture->ram + AT, 0x55, 16);
        page->idtr.base = modes[i] == 64 ? 0xffff800012345678 : 0x12345678;
        assert_int_equal(table(DISPLACED | ADDRESS(width) | SECOND), OUTCOME_ADVANCE);
        assert_int_equal(get(fixture, AT, 2), 0x7ff);
        assert_int_equal(get(fixture, AT + 2, width), page->idtr.base);
        assert_int_equal(get(fixture, AT + 2 + width, 2), 0x5555);
        assert_int_equal(table(DISPLACED | ADDRESS(width)), OUTCOME_ADVANCE);
        assert_int_equal(get(fixture, AT, 2), GDT_LIMIT);
        assert_int_equal(get(fixture, AT + 2, width), GDT);
        assert_int_equal(page->dirty, 0);
        again(state);
    }
}

// 24 bits of the base with an operand of 16, 32 of one of 32, 64 in 64-bit mode whatever the
// prefix.
static void test_loaded_tables(void **state)
{
    static const struct {
        unsigned mode;
        uint8_t prefix;
        uint64_t base;
    } rows[] = {{16, 0, 0x345678},    {16, 0x66, 0x12345678},      {32, 0, 0x12345678},
                {32, 0x66, 0x345678}, {64, 0, 0xffff800012345678}, {64, 0x66, 0xffff800012345678}};

    for (size_t i = 0; i < ARRAY_COUNT(rows) * 2; i++) {
        bool second = (i & 1) != 0;
        struct vcpu_table gdtr, idtr;

        use_mode(rows[i / 2].mode);
        set_prefix(rows[i / 2].prefix);
        put(fixture, AT, 0xabc, 2);
        put(fixture, AT + 2, 0xffff800012345678, 8);
        gdtr = page->gdtr;
        idtr = page->idtr;
        assert_int_equal(table(DISPLACED | ADDRESS(4) | LOAD | (second ? SECOND : 0)),
                         OUTCOME_ADVANCE);
        assert_int_equal(page->dirty, VCPU_GROUP_TABLES);
        assert_int_equal(second ? page->idtr.limit : page->gdtr.limit, 0xabc);
        assert_int_equal(second ? page->idtr.base : page->gdtr.base, rows[i / 2].base);
        assert_memory_equal(second ? &page->gdtr : &page->idtr, second ? &gdtr : &idtr,
                            sizeof(gdtr));
        again(state);
    }
}

static void test_table_faults(void **state)
{
    struct vcpu_table before;

    use_mode(64);
    set_prefix(0);
    put(fixture, AT, 0xabc, 2);
    put(fixture, AT + 2, 1ull << 47, 8);
    before = page->gdtr;
    assert_int_equal(table(DISPLACED | ADDRESS(8) | LOAD), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PROTECTION, 0)); // not canonical
    assert_memory_equal(&page->gdtr, &before, sizeof(before));
    again(state);
    set_prefix(0);
    page->segment[SEGMENT_DS].limit = AT + 4; // of the six bytes the last is outside
    assert_int_equal(table(DISPLACED | ADDRESS(4) | LOAD), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PROTECTION, 0));
    page->segment[SEGMENT_SS].limit = AT + 4;
    assert_int_equal(table((DISPLACED & ~IN(7)) | IN(SEGMENT_SS) | ADDRESS(4)), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_STACK, 0));
    page->segment[SEGMENT_ES].access_rights = SEGMENT_UNUSABLE;
    assert_int_equal(table((DISPLACED & ~IN(7)) | IN(SEGMENT_ES) | ADDRESS(4)), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PROTECTION, 0));
    page->segment[SEGMENT_DS].limit = UINT32_MAX;
    page->segment[SEGMENT_DS].access_rights = 0xc091; // read-only
    assert_int_equal(table(DISPLACED | ADDRESS(4)), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PROTECTION, 0));
}

// A store that crosses into a page that is not there stores nothing.
static void test_table_page_faults(void **state)
{
    (void)state;
    map_32(fixture);
    set_prefix(0);
    set_page_32(fixture, 0x7000, 0);
    assert_int_equal(
        execute(EXIT_DESCRIPTOR_TABLE, REASON_GDTR_IDTR, DISPLACED | ADDRESS(4), 0x6ffd),
        OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PAGE, 2));
    assert_int_equal(page->cr2, 0x7000);
    assert_int_equal(get(fixture, 0x6ffd, 3), 0);
    assert_int_equal(
        execute(EXIT_DESCRIPTOR_TABLE, REASON_GDTR_IDTR, DISPLACED | ADDRESS(4) | LOAD, 0x6ffd),
        OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PAGE, 0));
    assert_int_equal(page->gdtr.base, GDT);
    set_page_32(fixture, 0x7000, PAGE_PRESENT); // the supervisor's, and this is a user's SGDT
    page->segment[SEGMENT_SS].access_rights |= DPL_3;
    assert_int_equal(
        execute(EXIT_DESCRIPTOR_TABLE, REASON_GDTR_IDTR, DISPLACED | ADDRESS(4), 0x6ffd),
        OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PAGE, 7));
}

// -- addresses ------------------------------------------------------------------------------------

static void test_addresses(void **state)
{
    static const struct {
        uint32_t information;
        uint64_t displacement, expected;
    } rows[] = {
        {NO_INDEX | BASE(GPR_RBX) | ADDRESS(8), 4, 0x1100002004},
        {BASE(GPR_RBX) | INDEX(GPR_RSI) | 3 | ADDRESS(8), 0, 0x1100002000 + 8 * 0x300000100},
        {BASE(GPR_RBX) | INDEX(GPR_RSI) | 1 | ADDRESS(4), 2, 0x2000 + 2 * 0x100 + 2},
        {NO_INDEX | BASE(GPR_RBX) | ADDRESS(4), (uint64_t)-0x1000, 0x1000},
        {NO_INDEX | BASE(GPR_R15) | ADDRESS(2), 3, 0x0002}, // wraps at 64 KiB
        {NO_INDEX | NO_BASE | ADDRESS(8), 0xffff800000000000, 0xffff800000000000},
    };

    (void)state;
    page->gpr[GPR_RBX] = 0x1100002000;
    page->gpr[GPR_RSI] = 0x300000100;
    page->gpr[GPR_R15] = 0x1ffff;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct system_operand operand;

        page->exit.instruction.information = rows[i].information | IN(SEGMENT_GS);
        page->exit.instruction.displacement = rows[i].displacement;
        operand = system_operand(page);
        assert_int_equal(operand.offset, rows[i].expected);
        assert_int_equal(operand.segment, SEGMENT_GS);
    }
}

// -- SLDT and STR -----------------------------------------------------------------------------

static void test_stored_selectors(void **state)
{
    static const struct {
        unsigned mode;
        uint8_t prefix;
        uint64_t expected;
    } rows[] = {{16, 0, 0xaaaaaaaaaaaa0018},
                {16, 0x66, 0x18},
                {32, 0, 0x18},
                {32, 0x66, 0xaaaaaaaaaaaa0018},
                {64, 0, 0x18},
                {64, 0x66, 0xaaaaaaaaaaaa0018},
                {64, 0x48, 0x18}};

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        use_mode(rows[i].mode);
        set_prefix(rows[i].prefix);
        page->gpr[GPR_RDX] = 0xaaaaaaaaaaaaaaaa;
        assert_int_equal(selector(REGISTER | OPERAND(GPR_RDX) | SECOND), OUTCOME_ADVANCE);
        assert_int_equal(page->gpr[GPR_RDX], rows[i].expected);
        memset(fixture->ram + AT, 0x55, 8); // in memory 16 bits always
        assert_int_equal(selector(DISPLACED | ADDRESS(4)), OUTCOME_ADVANCE);
        assert_int_equal(get(fixture, AT, 4), 0x55550000 | LOCAL);
        again(state);
    }
    page->segment[SEGMENT_DS].limit = AT;
    assert_int_equal(selector(DISPLACED | ADDRESS(4)), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PROTECTION, 0));
}

// -- LLDT and LTR -----------------------------------------------------------------------------

struct load {
    uint16_t selector;
    uint8_t access; // of OTHER
    uint8_t vector; // 0: it is loaded
    bool task, wide;
};

static const struct load loads[] = {
    {OTHER, LDT_TYPE, 0, false, false},
    {OTHER | 3, LDT_TYPE, 0, false, true},
    {BEYOND, LDT_TYPE, VECTOR_PROTECTION, false, false},
    {OTHER | 4, LDT_TYPE, VECTOR_PROTECTION, false, false}, // names the LDT
    {OTHER, LDT_TYPE & ~PRESENT, VECTOR_NOT_PRESENT, false, false},
    {OTHER, DATA_TYPE, VECTOR_PROTECTION, false, false},
    {OTHER, TSS_32, VECTOR_PROTECTION, false, false},
    {BEYOND - 8, LDT_TYPE, VECTOR_PROTECTION, false, true}, // 16 bytes do not fit
    {OTHER, TSS_32, 0, true, false},
    {OTHER, TSS_32, 0, true, true},
    {OTHER, TSS_16, 0, true, false},
    {OTHER, TSS_16, VECTOR_PROTECTION, true, true},
    {0, TSS_32, VECTOR_PROTECTION, true, false},
    {3, TSS_32, VECTOR_PROTECTION, true, false}, // null, whose error code is 0
    {BEYOND, TSS_32, VECTOR_PROTECTION, true, false},
    {OTHER | 4, TSS_32, VECTOR_PROTECTION, true, false},
    {OTHER, TSS_32 | BUSY, VECTOR_PROTECTION, true, false},
    {OTHER, TSS_32 & ~PRESENT, VECTOR_NOT_PRESENT, true, true},
    {OTHER, LDT_TYPE, VECTOR_PROTECTION, true, false},
    {BEYOND - 8, TSS_32, VECTOR_PROTECTION, true, true},
};

static void check_load(const struct load *row, size_t number, bool in_memory)
{
    struct vcpu_segment *segment = &page->segment[row->task ? SEGMENT_TR : SEGMENT_LDTR];
    struct vcpu_segment before = *segment;
    uint32_t information = LOAD | (row->task ? SECOND : 0);

    put_descriptor(fixture, GDT + OTHER, 0x89674523, 0x9abcd, row->access, 0);
    put(fixture, GDT + OTHER + 8, 0xffff8000, 8);
    page->gpr[GPR_RSI] = 0xdddd0000 | row->selector;
    put(fixture, AT, 0xdddd0000 | row->selector, 4);
    information |= in_memory ? DISPLACED | ADDRESS(4) : REGISTER | OPERAND(GPR_RSI);
    assert_int_equal(selector(information), row->vector == 0 ? OUTCOME_ADVANCE : OUTCOME_RESUME);
    if (row->vector != 0) {
        uint32_t error_code = row->selector < 4 ? 0 : row->selector & ~3u;

        if (!raised_with(fixture, row->vector, error_code)) {
            fail_msg("row %zu: event 0x%x, error code 0x%x", number, page->event.word,
                     page->event.error_code);
        }
        assert_memory_equal(segment, &before, sizeof(before));
        assert_int_equal(access_of(fixture, OTHER), row->access);
        return;
    }
    assert_int_equal(segment->selector, row->selector);
    assert_int_equal(segment->base, row->wide ? 0xffff800089674523 : 0x89674523);
    assert_int_equal(segment->limit, 0x9abcd);
    assert_int_equal(segment->access_rights, row->access | (row->task ? BUSY : 0));
    assert_int_equal(access_of(fixture, OTHER), row->access | (row->task ? BUSY : 0));
    assert_true((page->dirty & VCPU_GROUP_SEGMENTS) != 0);
}

static void test_loaded_selectors(void **state)
{
    for (size_t i = 0; i < ARRAY_COUNT(loads) * 2; i++) {
        use_mode(loads[i / 2].wide ? 64 : 32);
        set_prefix(0);
        check_load(&loads[i / 2], i / 2, (i & 1) != 0);
        again(state);
    }
}

static void test_null_local_table(void **state)
{
    (void)state;
    page->gpr[GPR_RAX] = 2;
    page->segment[SEGMENT_LDTR].access_rights = LDT_TYPE;
    assert_int_equal(selector(REGISTER | OPERAND(GPR_RAX) | LOAD), OUTCOME_ADVANCE);
    assert_int_equal(page->segment[SEGMENT_LDTR].selector, 2);
    assert_true((page->segment[SEGMENT_LDTR].access_rights & SEGMENT_UNUSABLE) != 0);
}

// The descriptor table is the supervisor's; a fault there is a page fault like any other.
static void test_descriptor_page_faults(void **state)
{
    (void)state;
    map_32(fixture);
    page->cr0 |= 1u << 16; // WP
    put_descriptor(fixture, GDT + OTHER, 0x4000, 0x67, TSS_32, 0);
    page->gpr[GPR_RAX] = OTHER;
    set_page_32(fixture, GDT, 1); // read-only: the busy bit cannot be set
    assert_int_equal(selector(REGISTER | OPERAND(GPR_RAX) | LOAD | SECOND), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PAGE, 3));
    assert_int_equal(page->segment[SEGMENT_TR].selector, OLD);
    set_page_32(fixture, GDT, 0);
    assert_int_equal(selector(REGISTER | OPERAND(GPR_RAX) | LOAD), OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PAGE, 0));
    assert_int_equal(page->cr2, GDT + OTHER);
}

// Memory that does not exist has no descriptors: the VM ends, and says why.
static void test_tables_outside_of_memory(void **state)
{
    (void)state;
    page->gdtr.base = 0xfff00000;
    page->gpr[GPR_RAX] = OTHER;
    (void)selector(REGISTER | OPERAND(GPR_RAX) | LOAD);
    assert_true(raised_with(fixture, VECTOR_PROTECTION, OTHER)); // all ones is no LDT
}

// -- INVLPG, INVPCID, RDRAND ----------------------------------------------------------------------

static void test_invpcid(void **state)
{
    static const struct {
        uint64_t type, low, address;
        bool pcid, allowed;
    } rows[] = {
        {0, 5, 0x7fffffffffff, true, true},
        {0, 5, 1ull << 47, true, false},
        {0, 5, 0, false, false},
        {0, 0, 0, false, true},
        {1, 0xfff, 1ull << 47, true, true},
        {1, 0x1000, 0, true, false},
        {1, 1, 0, false, false},
        {2, UINT64_MAX, 1ull << 47, false, true},
        {3, UINT64_MAX, 0, false, true},
        {4, 0, 0, true, false},
        {1ull << 32, 0, 0, true, false},
    };

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        use_mode(64);
        page->cr4 |= rows[i].pcid ? CR4_PCIDE : 0;
        put(fixture, AT, rows[i].low, 8);
        put(fixture, AT + 8, rows[i].address, 8);
        page->gpr[GPR_R9] = rows[i].type;
        assert_int_equal(execute(EXIT_INVPCID, 58, DISPLACED | ADDRESS(8) | SECOND_REG(GPR_R9), AT),
                         rows[i].allowed ? OUTCOME_ADVANCE : OUTCOME_RESUME);
        if (rows[i].allowed) {
            assert_int_equal(page->dirty, VCPU_GROUP_CONTROL); // translations are dropped
        } else {
            assert_true(raised_with(fixture, VECTOR_PROTECTION, 0));
        }
        again(state);
    }
    page->gpr[GPR_RCX] = 0x100000002; // outside of 64-bit mode the type has 32 bits
    assert_int_equal(execute(EXIT_INVPCID, 58, DISPLACED | ADDRESS(4) | SECOND_REG(GPR_RCX), AT),
                     OUTCOME_ADVANCE);
    page->segment[SEGMENT_DS].limit = AT + 14;
    assert_int_equal(execute(EXIT_INVPCID, 58, DISPLACED | ADDRESS(4) | SECOND_REG(GPR_RCX), AT),
                     OUTCOME_RESUME);
    assert_true(raised_with(fixture, VECTOR_PROTECTION, 0));
}

static void test_invlpg(void **state)
{
    (void)state;
    page->valid = VCPU_GROUP_RIP;
    assert_int_equal(execute(EXIT_INVLPG, 14, 0, 0x1234000), OUTCOME_FETCH);
    page->valid = VCPU_GROUP_ALL;
    assert_int_equal(execute(EXIT_INVLPG, 14, 0, 1ull << 63), OUTCOME_ADVANCE); // never faults
    assert_int_equal(page->dirty, VCPU_GROUP_CONTROL);
}

static void test_random_numbers(void **state)
{
    static const struct {
        unsigned mode;
        uint8_t prefix;
        uint64_t kept; // of what was there
    } rows[] = {{16, 0, ~0xffffull}, {16, 0x66, 0},          {32, 0, 0},   {32, 0x66, ~0xffffull},
                {64, 0, 0},          {64, 0x66, ~0xffffull}, {64, 0x48, 0}};
    const uint64_t before = 0xaaaaaaaaaaaaaaaa;

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        unsigned width = rows[i].kept != 0 ? 2 : rows[i].prefix == 0x48 ? 8 : 4;
        uint64_t seen = 0;

        use_mode(rows[i].mode);
        set_prefix(rows[i].prefix);
        fixture->machine.random = (struct random_source){.state = 1, .seeded = true};
        page->rflags = 0x8d6;
        for (unsigned round = 0; round < 8; round++) {
            page->gpr[GPR_RDI] = before;
            assert_int_equal(execute(EXIT_RANDOM, 57, OPERAND(GPR_RDI), 0), OUTCOME_ADVANCE);
            assert_int_equal(page->gpr[GPR_RDI] & rows[i].kept, before & rows[i].kept);
            seen |= page->gpr[GPR_RDI] & ~rows[i].kept;
        }
        assert_int_equal(width == 8, seen >> 32 != 0);
        assert_true(seen != 0);
        assert_int_equal(page->rflags, 3); // CF, and the others of arithmetic are 0
        again(state);
    }
}

static void test_what_is_missing_is_fetched(void **state)
{
    (void)state;
    page->valid = VCPU_GROUP_RIP | VCPU_GROUP_CONTROL;
    assert_int_equal(table(DISPLACED), OUTCOME_FETCH);
    assert_int_equal(fixture->machine.need, VCPU_GROUP_SEGMENTS | VCPU_GROUP_TABLES);
    assert_int_equal(execute(EXIT_INVPCID, 58, DISPLACED, AT), OUTCOME_FETCH);
    assert_int_equal(execute(EXIT_RANDOM, 57, 0, 0), OUTCOME_FETCH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stored_tables),
        TEST(test_loaded_tables),
        TEST(test_table_faults),
        TEST(test_table_page_faults),
        TEST(test_addresses),
        TEST(test_stored_selectors),
        TEST(test_loaded_selectors),
        TEST(test_null_local_table),
        TEST(test_descriptor_page_faults),
        TEST(test_tables_outside_of_memory),
        TEST(test_invpcid),
        TEST(test_invlpg),
        TEST(test_random_numbers),
        TEST(test_what_is_missing_is_fetched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
