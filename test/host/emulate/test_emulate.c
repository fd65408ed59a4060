// SPDX-License-Identifier: MIT
// The emulator in cases with known answers: 16- and 32-bit code, segmentation, faults that change
// nothing, undefined and unsupported instructions.
#include "test/host/emulate/world.h"
#include "vmm/emulate/alu.h"

// --- 16- and 32-bit code --------------------------------------------------------------------

static void test_real_mode_forms(void **state)
{
    (void)state;
    world_start(16);
    world.page.gpr[GPR_RBX] = 0xaaaa0100; // address registers count 16 bits only
    world.page.gpr[GPR_RSI] = 0x20;
    world.page.gpr[GPR_RAX] = 0xffff1234;
    RUN(0x89, 0x40, 0x03); // mov [bx+si+3], ax
    assert_done(0x1003);
    assert_int_equal(world.bytes[0x10123], 0x34);
    assert_int_equal(world.bytes[0x10124], 0x12);
    assert_int_equal(world.bytes[0x10125], 0);

    world.page.gpr[GPR_RBP] = 0x200;
    RUN(0xc6, 0x46, 0xfe, 0x77); // mov byte [bp-2], 0x77: SS
    assert_done(0x1007);
    assert_int_equal(world.bytes[0x201fe], 0x77);

    RUN(0x66, 0xa1, 0x23, 0x01); // mov eax, [0x123]
    assert_done(0x100b);
    assert_int_equal(world.page.gpr[GPR_RAX], 0x1234);

    world.page.gpr[GPR_RCX] = 0x50;
    RUN(0x67, 0xfe, 0x04, 0x49); // inc byte [ecx+ecx*2]
    assert_done(0x100f);
    assert_int_equal(world.bytes[0x100f0], 1);
}

static void test_real_mode_wrap_and_limit(void **state)
{
    (void)state;
    world_start(16);
    world.page.gpr[GPR_RBX] = 0xfff0;
    RUN(0xc6, 0x47, 0x20, 0x55); // mov byte [bx+0x20]: wraps to 0x10
    assert_done(0x1004);
    assert_int_equal(world.bytes[0x10010], 0x55);

    world_start(16);
    world.page.gpr[GPR_RBX] = 0xffff;
    RUN(0x89, 0x07); // mov [bx], ax: the second byte is past the limit
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
    world.page.gpr[GPR_RBP] = 0xffff;
    RUN(0x89, 0x46, 0x00); // mov [bp], ax
    assert_exception(EMULATE_VECTOR_STACK, true, 0);
    world.page.segment[SEGMENT_DS].limit = 0xffffffffu; // "unreal" mode
    RUN(0x67, 0x89, 0x83, 0, 0, 1, 0);                  // mov [ebx+0x10000], ax
    assert_done(0x1007);
}

static void test_protected_segments(void **state)
{
    (void)state;
    world_start(32);
    world.page.gpr[GPR_RBX] = 0x2000;
    world.page.segment[SEGMENT_DS].access_rights = 0xc091; // read-only
    RUN(0x89, 0x03);                                       // mov [ebx], eax
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
    RUN(0x8b, 0x03);
    assert_done(0x1002);

    world_start(32);
    world.page.segment[SEGMENT_FS].access_rights = SEGMENT_UNUSABLE;
    RUN(0x64, 0x8b, 0x03);
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
    RUN(0x2e, 0x89, 0x03); // writing through CS
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
    RUN(0x2e, 0x8b, 0x03);
    assert_done(0x1003);
    world.page.rip = 0x1000;
    world.page.segment[SEGMENT_CS].access_rights = 0xc099; // execute-only
    RUN(0x2e, 0x8b, 0x03);
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
}

static void test_expand_down(void **state)
{
    (void)state;
    world_start(32);
    world.page.segment[SEGMENT_DS].access_rights = 0xc097;
    world.page.segment[SEGMENT_DS].limit = 0x2fff;
    world.page.gpr[GPR_RBX] = 0x2fff;
    RUN(0x8a, 0x03); // mov al, [ebx]
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
    world.page.gpr[GPR_RBX] = 0x3000;
    RUN(0x8a, 0x03);
    assert_done(0x1002);
    world.page.rip = 0x1000;
    world.page.gpr[GPR_RBX] = 0xffff;
    world.page.segment[SEGMENT_DS].access_rights = 0x97; // 16-bit: ends at 0xffff
    RUN(0x8b, 0x03);
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
}

// Two bytes in memory whatever the operand size; a register takes what fits.
static void test_machine_status_word(void **state)
{
    (void)state;
    world_start(64);
    world.page.cr0 = 0x80050033;
    world.page.gpr[GPR_RCX] = world.page.gpr[GPR_RDX] = UINT64_MAX;
    memset(world.bytes + 0x3000, 0xee, 8);
    RUN(0x48, 0x0f, 0x01, 0x24, 0x25, 0x00, 0x30, 0x00, 0x00); // smsw [0x3000], REX.W
    assert_done(0x1009);
    assert_memory_equal(world.bytes + 0x3000, "\x33\x00\xee\xee\xee\xee\xee\xee", 8);
    world_start(64);
    world.page.cr0 = 0x80050033;
    world.page.gpr[GPR_RCX] = world.page.gpr[GPR_RDX] = UINT64_MAX;
    RUN(0x0f, 0x01, 0xe1); // smsw ecx
    assert_done(0x1003);
    assert_int_equal(world.page.gpr[GPR_RCX], 0x80050033);
    world.page.rip = 0x1000;
    RUN(0x66, 0x0f, 0x01, 0xe2); // smsw dx
    assert_done(0x1004);
    assert_int_equal(world.page.gpr[GPR_RDX], 0xffffffffffff0033);
}

static void test_segment_base_wraps(void **state)
{
    (void)state;
    world_start(32);
    world.page.segment[SEGMENT_DS].base = 0xfffff000u;
    world.page.gpr[GPR_RBX] = 0x3008;
    world.bytes[0x2008] = 0x5a;
    RUN(0x8a, 0x03);
    assert_done(0x1002);
    assert_int_equal(world.page.gpr[GPR_RAX], 0x5a);
}

static void test_push_pop(void **state)
{
    (void)state;
    world_start(16);
    world.page.gpr[GPR_RSP] = 0xabcd0002u;
    world.page.gpr[GPR_RBX] = 0x40;
    world.bytes[0x10040] = 0x34;
    world.bytes[0x10041] = 0x12;
    RUN(0xff, 0x37); // push word [bx]
    assert_done(0x1002);
    assert_int_equal(world.page.gpr[GPR_RSP], 0xabcd0000u);
    assert_int_equal(world.bytes[0x20000], 0x34);
    RUN(0xff, 0x37); // the stack wraps
    assert_int_equal(world.page.gpr[GPR_RSP], 0xabcdfffeu);
    RUN(0x8f, 0x47, 0x10); // pop word [bx+0x10]
    assert_done(0x1007);
    assert_int_equal(world.page.gpr[GPR_RSP], 0xabcd0000u);
    assert_int_equal(world.bytes[0x10050], 0x34);

    world_start(32);
    world.page.gpr[GPR_RSP] = 0x5000;
    world.bytes[0x5000] = 0x99;
    world.read_only = 0x5000;
    RUN(0x8f, 0x04, 0x24); // pop [esp]: addressed after the increment, here faulting
    assert_exception(EMULATE_VECTOR_PAGE, true, 2);
    assert_int_equal(world.result.fault.address, 0x5004);
    assert_int_equal(world.page.gpr[GPR_RSP], 0x5000);
}

// The limits of DIV and IDIV, and that a divide error leaves the accumulator.
static void test_divide(void **state)
{
    static const struct {
        bool is_signed;
        uint8_t divisor;
        uint16_t dividend;
        int32_t result; // AX, or -1: divide error
    } rows[] = {
        {false, 0, 5, -1},         {false, 2, 0x1ff, 0x01ff},    {false, 2, 0x200, -1},
        {false, 255, 0xff00, -1},  {false, 255, 0xfeff, 0xfeff}, {true, 0, 5, -1},
        {true, 1, 0x7f, 0x7f},     {true, 1, 0x80, -1},          {true, 1, 0xff80, 0x80},
        {true, 1, 0xff7f, -1},     {true, 0xff, 0x80, 0x80},     {true, 0xff, 0xff80, -1},
        {true, 2, 0xfffb, 0xfffe}, {true, 0xfe, 5, 0x01fe},      {true, 0x80, 0x8000, -1},
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
        world_start(64);
        world.page.gpr[GPR_RBX] = 0x2000;
        world.page.gpr[GPR_RAX] = 0x11220000u | rows[i].dividend;
        world.bytes[0x2000] = rows[i].divisor;
        RUN(0xf6, rows[i].is_signed ? 0x3b : 0x33);
        if (rows[i].result >= 0)
            assert_done(0x1002);
        else
            assert_exception(EMULATE_VECTOR_DIVIDE, false, 0);
        assert_int_equal(world.page.gpr[GPR_RAX],
                         0x11220000u |
                             (rows[i].result >= 0 ? (uint32_t)rows[i].result : rows[i].dividend));
    }
}

// REX.W: a dividend of 128 bits.
static void test_divide_wide(void **state)
{
    (void)state;
    world_start(64);
    world.page.gpr[GPR_RBX] = 0x2000;
    world.page.gpr[GPR_RDX] = UINT64_MAX;
    world.page.gpr[GPR_RAX] = 1ull << 63;
    world.bytes[0x2000] = 1;
    RUN(0x48, 0xf7, 0x3b); // idiv: the smallest quotient
    assert_done(0x1003);
    assert_int_equal(world.page.gpr[GPR_RAX], 1ull << 63);
    assert_int_equal(world.page.gpr[GPR_RDX], 0);
    memset(world.bytes + 0x2000, 0xff, 8);
    world.page.rip = 0x1000;
    world.page.gpr[GPR_RDX] = UINT64_MAX;
    RUN(0x48, 0xf7, 0x3b); // by -1: one too many
    assert_exception(EMULATE_VECTOR_DIVIDE, false, 0);
    world.page.gpr[GPR_RDX] = UINT64_MAX - 1;
    world.page.gpr[GPR_RAX] = UINT64_MAX;
    RUN(0x48, 0xf7, 0x33); // div: the largest quotient
    assert_done(0x1003);
    assert_int_equal(world.page.gpr[GPR_RAX], UINT64_MAX);
    assert_int_equal(world.page.gpr[GPR_RDX], UINT64_MAX - 1);
}

static void test_byte_registers(void **state)
{
    (void)state;
    world_start(32);
    world.page.gpr[GPR_RAX] = 0x11223344;
    world.page.gpr[GPR_RBX] = 0x2000;
    world.bytes[0x2000] = 0xee;
    RUN(0x8a, 0x23); // mov ah, [ebx]
    assert_int_equal(world.page.gpr[GPR_RAX], 0x1122ee44);
    RUN(0x88, 0x43, 0x01); // mov [ebx+1], al
    assert_int_equal(world.bytes[0x2001], 0x44);

    world_start(64);
    world.page.gpr[GPR_RBX] = 0x2000;
    world.page.gpr[GPR_RSP] = 0x1234;
    RUN(0x40, 0x88, 0x23); // mov [rbx], spl
    assert_int_equal(world.bytes[0x2000], 0x34);
}

// --- faults ---------------------------------------------------------------------------------

static void test_fault_changes_nothing(void **state)
{
    static const uint8_t forms[][4] = {
        {0x01, 0x03},       // add [rbx], eax
        {0x87, 0x03},       // xchg
        {0xff, 0x03},       // inc
        {0xd3, 0x03},       // rol [rbx], cl
        {0x0f, 0xc1, 0x03}, // xadd
        {0x0f, 0xb1, 0x03}, // cmpxchg
        {0x0f, 0xc7, 0x0b}, // cmpxchg8b
        {0x0f, 0xab, 0x03}, // bts
        {0x0f, 0x94, 0x03}, // sete
        {0xf7, 0x1b},       // neg
        {0x89, 0x03},       // mov
        {0x0f, 0xa5, 0x03}, // shld [rbx], eax, cl
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        struct vcpu_page before;

        world_start(64);
        for (unsigned n = 0; n < GPR_COUNT; n++)
            world.page.gpr[n] = n + 1;
        world.page.gpr[GPR_RBX] = 0x3000;
        world.page.rflags = 0x8d7;
        world.read_only = 0x3000;
        before = world.page;
        world_run(forms[i], 4);
        assert_exception(EMULATE_VECTOR_PAGE, true, 2);
        assert_int_equal(world.result.fault.address, 0x3000);
        assert_memory_equal(world.page.gpr, before.gpr, sizeof(before.gpr));
        assert_int_equal(world.page.rflags, before.rflags);
        for (unsigned at = 0x3000; at < 0x4000; at++)
            assert_int_equal(world.bytes[at], 0);
    }
}

static void test_canonical(void **state)
{
    (void)state;
    world_start(64);
    world.page.gpr[GPR_RBX] = 0x00007ffffffffff9ull; // the last of 8 bytes is not canonical
    RUN(0x48, 0x8b, 0x03);
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
    world.page.gpr[GPR_RBP] = 0x0000800000000000ull;
    RUN(0x48, 0x8b, 0x45, 0x00);
    assert_exception(EMULATE_VECTOR_STACK, true, 0);
    RUN(0x3e, 0x48, 0x8b, 0x45, 0x00); // DS is ignored here
    assert_exception(EMULATE_VECTOR_STACK, true, 0);
    world.page.segment[SEGMENT_GS].base = 0xffff800000000000ull;
    world.page.gpr[GPR_RBX] = 0xffff000000000000ull;
    RUN(0x65, 0x8b, 0x03); // wraps round to something not canonical
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
    world.page.cr4 = 1u << 12; // 57-bit addresses
    world.page.gpr[GPR_RBP] = 0x0000800000000000ull;
    RUN(0x48, 0x8b, 0x45, 0x00);
    assert_int_equal(world.result.outcome, EMULATE_FAILED);
}

static void test_gs_base(void **state)
{
    (void)state;
    world_start(64);
    world.page.segment[SEGMENT_GS].base = 0x3000;
    world.page.segment[SEGMENT_DS].base = 0x7777; // without effect in 64-bit mode
    world.bytes[0x3010] = 0x42;
    RUN(0x65, 0x0f, 0xb6, 0x04, 0x25, 0x10, 0, 0, 0); // movzx eax, byte gs:[0x10]
    assert_done(0x1009);
    assert_int_equal(world.page.gpr[GPR_RAX], 0x42);
}

static void test_alignment_check(void **state)
{
    (void)state;
    world_start(32);
    world.page.gpr[GPR_RBX] = 0x2001;
    world.page.cr0 |= 1u << 18;
    world.page.rflags |= RFLAGS_AC;
    RUN(0x8b, 0x03);
    assert_done(0x1002);
    world.page.rip = 0x1000;
    world.page.segment[SEGMENT_SS].access_rights |= 0x60; // now at privilege level 3
    RUN(0x8b, 0x03);
    assert_exception(EMULATE_VECTOR_ALIGNMENT, true, 0);
    RUN(0x8a, 0x03);
    assert_done(0x1002);
}

static void test_undefined(void **state)
{
    (void)state;
    world_start(64);
    RUN(0xf0, 0x8b, 0x03); // lock mov
    assert_exception(EMULATE_VECTOR_UNDEFINED, false, 0);
    RUN(0xf0, 0x03, 0x03); // lock add eax, [rbx]
    assert_exception(EMULATE_VECTOR_UNDEFINED, false, 0);
    RUN(0xf0, 0x01, 0xc3); // lock add ebx, eax
    assert_exception(EMULATE_VECTOR_UNDEFINED, false, 0);
    RUN(0x82, 0x03, 0x01); // not in 64-bit mode
    assert_exception(EMULATE_VECTOR_UNDEFINED, false, 0);
    RUN(0x0f, 0xc7, 0xcb); // cmpxchg8b ebx
    assert_exception(EMULATE_VECTOR_UNDEFINED, false, 0);
    world.page.gpr[GPR_RBX] = 0x3008;
    RUN(0x48, 0x0f, 0xc7, 0x0b); // cmpxchg16b, misaligned
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
}

static void test_unsupported(void **state)
{
    (void)state;
    world_start(64);
    RUN(0x66, 0x0f, 0x6f, 0x03, 0xde, 0xad); // movdqa xmm0, [rbx]
    assert_int_equal(world.result.outcome, EMULATE_UNSUPPORTED);
    assert_int_equal(world.page.rip, 0x1000);
    assert_int_equal(world.page.dirty, 0);
    assert_true(world.result.fetched >= 4);
    assert_memory_equal(world.result.bytes, ((uint8_t[]){0x66, 0x0f, 0x6f, 0x03, 0xde}), 5);
}

static void test_failed(void **state)
{
    (void)state;
    world_start(64);
    world.refused = 0x3000;
    world.page.gpr[GPR_RBX] = 0x3000;
    RUN(0x01, 0x03);
    assert_int_equal(world.result.outcome, EMULATE_FAILED);
    assert_int_equal(world.result.status, STATUS_NOT_FOUND);
    assert_int_equal(world.page.rip, 0x1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_mode_forms),
        cmocka_unit_test(test_real_mode_wrap_and_limit),
        cmocka_unit_test(test_protected_segments),
        cmocka_unit_test(test_expand_down),
        cmocka_unit_test(test_machine_status_word),
        cmocka_unit_test(test_segment_base_wraps),
        cmocka_unit_test(test_push_pop),
        cmocka_unit_test(test_divide),
        cmocka_unit_test(test_divide_wide),
        cmocka_unit_test(test_byte_registers),
        cmocka_unit_test(test_fault_changes_nothing),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_gs_base),
        cmocka_unit_test(test_alignment_check),
        cmocka_unit_test(test_undefined),
        cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
