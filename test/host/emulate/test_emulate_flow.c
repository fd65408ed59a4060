// SPDX-License-Identifier: MIT
// The emulator in cases with known answers: fetching, page crossings, repetition with partial
// progress, ports, and the cache of decoded instructions.
#include "test/host/emulate/world.h"
#include "vmm/emulate/alu.h"
#include "vmm/emulate/decode.h"

// --- fetching -------------------------------------------------------------------------------

static void test_fetch_crosses_page(void **state)
{
    (void)state;
    world_start(64);
    world.page.rip = 0x1ffd;
    RUN(0xc7, 0x04, 0x25, 0x00, 0x30, 0x00, 0x00, 0x78, 0x56, 0x34, 0x12); // mov [0x3000], imm
    assert_done(0x2008);
    assert_int_equal(world.bytes[0x3003], 0x12);

    world_start(64);
    world.page.rip = 0x1ffd;
    world.missing = 0x2000;
    RUN(0xc7, 0x04, 0x25, 0x00, 0x30, 0x00, 0x00, 0x78, 0x56, 0x34, 0x12);
    assert_int_equal(world.result.outcome, EMULATE_EXCEPTION);
    assert_int_equal(world.result.fault.vector, EMULATE_VECTOR_PAGE);
    assert_int_equal(world.result.fault.address, 0x2000);
    assert_int_equal(world.page.rip, 0x1ffd);

    world_start(64);
    world.page.rip = 0x1ffd; // complete before the boundary: the next page is not touched
    world.page.gpr[GPR_RBX] = 0x3000;
    world.missing = 0x2000;
    RUN(0x48, 0x89, 0x03);
    assert_done(0x2000);
}

static void test_fifteen_bytes(void **state)
{
    (void)state;
    world_start(64);
    world.page.gpr[GPR_RBX] = 0x3000;
    world.page.gpr[GPR_RAX] = 0x99;
    RUN(0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x88, 0x03);
    assert_done(0x100f);
    assert_int_equal(world.bytes[0x3000], 0x99);
    world.page.rip = 0x1000;
    RUN(0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x88,
        0x03);
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
}

static void test_fetch_limit(void **state)
{
    (void)state;
    world_start(32);
    world.page.gpr[GPR_RBX] = 0x3000;
    world.page.segment[SEGMENT_CS].limit = 0x1001;
    RUN(0x89, 0x03);
    assert_done(0x1002);
    world_run_at_rip(); // past the limit
    assert_int_equal(world.result.outcome, EMULATE_EXCEPTION);
    assert_int_equal(world.result.fault.vector, EMULATE_VECTOR_PROTECTION);
    world.page.rip = 0x1000;
    world.page.segment[SEGMENT_CS].limit = 0x1000;
    world_run_at_rip(); // across it
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
}

static void test_advance(void **state)
{
    (void)state;
    world_start(32);
    world.page.rip = 0xffffffffu;
    world.page.rflags = RFLAGS_RF | RFLAGS_TF | 2;
    world.page.interruptibility = VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_NMI;
    assert_true(emulate_advance(&world.page, 2));
    assert_int_equal(world.page.rip, 1);
    assert_int_equal(world.page.rflags, RFLAGS_TF | 2);
    assert_int_equal(world.page.interruptibility, VCPU_BLOCKED_BY_NMI);
    world_start(64);
    world.page.rip = 0xffffffffu;
    assert_false(emulate_advance(&world.page, 2));
    assert_int_equal(world.page.rip, 0x100000001ull);
}

// --- accesses that cross a page -------------------------------------------------------------

static void test_data_crosses_page(void **state)
{
    (void)state;
    world_start(64);
    world.page.gpr[GPR_RBX] = 0x3ffd;
    world.page.gpr[GPR_RAX] = 0x1122334455667788ull;
    RUN(0x48, 0x89, 0x03);
    assert_done(0x1003);
    assert_int_equal(world.bytes[0x3ffd], 0x88);
    assert_int_equal(world.bytes[0x4004], 0x11);

    world_start(64);
    world.missing = 0x4000;
    world.page.gpr[GPR_RBX] = 0x3ffd;
    world.page.gpr[GPR_RAX] = ~0ull;
    RUN(0x48, 0x89, 0x03);
    assert_exception(EMULATE_VECTOR_PAGE, true, 2);
    assert_int_equal(world.result.fault.address, 0x4000);
    assert_int_equal(world.bytes[0x3ffd], 0); // nothing was written before the fault
}

// --- strings --------------------------------------------------------------------------------

static void test_repeat_partial(void **state)
{
    (void)state;
    world_start(64);
    world.page.gpr[GPR_RSI] = 0x3000;
    world.page.gpr[GPR_RDI] = 0x4ff8;
    world.page.gpr[GPR_RCX] = 5;
    world.missing = 0x5000;
    memset(&world.bytes[0x3000], 0xcd, 64);
    RUN(0xf3, 0xa5); // rep movsd
    assert_exception(EMULATE_VECTOR_PAGE, true, 2);
    assert_int_equal(world.page.gpr[GPR_RCX], 3);
    assert_int_equal(world.page.gpr[GPR_RSI], 0x3008);
    assert_int_equal(world.page.gpr[GPR_RDI], 0x5000);
    assert_true(world.page.dirty & VCPU_GROUP_RIP);
    world.missing = NO_PAGE;
    world_run_at_rip();
    assert_done(0x1002);
    assert_int_equal(world.page.gpr[GPR_RCX], 0);
    assert_int_equal(world.bytes[0x500b], 0xcd);
    assert_int_equal(world.bytes[0x500c], 0);
}

static void test_repeat_budget(void **state)
{
    (void)state;
    world_start(32);
    world.page.gpr[GPR_RDI] = 0x10000;
    world.page.gpr[GPR_RCX] = EMULATE_REPEAT_MAXIMUM + 10;
    world.page.gpr[GPR_RAX] = 0x5a;
    RUN(0xf3, 0xaa); // rep stosb
    assert_int_equal(world.result.outcome, EMULATE_AGAIN);
    assert_int_equal(world.page.rip, 0x1000);
    assert_int_equal(world.page.gpr[GPR_RCX], 10);
    assert_int_equal(world.page.gpr[GPR_RDI], 0x10000 + EMULATE_REPEAT_MAXIMUM);
    world_run_at_rip();
    assert_done(0x1002);
    assert_int_equal(world.bytes[0x10000 + EMULATE_REPEAT_MAXIMUM + 9], 0x5a);
    assert_int_equal(world.bytes[0x10000 + EMULATE_REPEAT_MAXIMUM + 10], 0);
}

static void test_repeat_single_step(void **state)
{
    (void)state;
    world_start(32);
    world.page.gpr[GPR_RDI] = 0x3000;
    world.page.gpr[GPR_RCX] = 2;
    world.page.rflags |= RFLAGS_TF;
    RUN(0xf3, 0xaa);
    assert_int_equal(world.result.outcome, EMULATE_AGAIN);
    assert_true(world.result.single_step);
    assert_int_equal(world.page.gpr[GPR_RCX], 1);
    world_run_at_rip();
    assert_done(0x1002);
    assert_true(world.result.single_step);
}

static void test_repeat_zero_and_widths(void **state)
{
    (void)state;
    world_start(64);
    world.missing = 0x3000;
    world.page.gpr[GPR_RDI] = 0x3000;
    RUN(0xf3, 0xab); // count 0: no access
    assert_done(0x1002);

    world_start(16);
    world.page.gpr[GPR_RDI] = 0xabcd0000u;
    world.page.gpr[GPR_RCX] = 0x12340002u; // CX is 2
    world.page.gpr[GPR_RAX] = 0x77;
    world.page.rflags |= RFLAGS_DF;
    RUN(0xf3, 0xaa);
    assert_done(0x1002);
    assert_int_equal(world.page.gpr[GPR_RCX], 0x12340000u);
    assert_int_equal(world.page.gpr[GPR_RDI], 0xabcdfffeu);
    assert_int_equal(world.bytes[0x10000], 0x77);
    assert_int_equal(world.bytes[0x1ffff], 0x77);
}

static void test_compare_strings(void **state)
{
    (void)state;
    world_start(32);
    memcpy(&world.bytes[0x3000], "gatehouse", 9);
    memcpy(&world.bytes[0x4000], "gatekeeper", 10);
    world.page.gpr[GPR_RSI] = 0x3000;
    world.page.gpr[GPR_RDI] = 0x4000;
    world.page.gpr[GPR_RCX] = 9;
    RUN(0xf3, 0xa6); // repe cmpsb
    assert_done(0x1002);
    assert_int_equal(world.page.gpr[GPR_RCX], 4);
    assert_int_equal(world.page.gpr[GPR_RSI], 0x3005);
    assert_true(world.page.rflags & RFLAGS_CF); // 'h' is below 'k'

    world.page.gpr[GPR_RDI] = 0x4000;
    world.page.gpr[GPR_RCX] = 100;
    world.page.gpr[GPR_RAX] = 'k';
    RUN(0xf2, 0xae); // repne scasb
    assert_done(0x1004);
    assert_int_equal(world.page.gpr[GPR_RDI], 0x4005);
    assert_true(world.page.rflags & RFLAGS_ZF);
}

static void test_string_segments(void **state)
{
    (void)state;
    world_start(16);
    world.page.segment[SEGMENT_FS].base = 0x30000;
    world.bytes[0x30005] = 0x66;
    world.page.gpr[GPR_RSI] = 5;
    world.page.gpr[GPR_RDI] = 6;
    RUN(0x64, 0xa4); // the source is overridden, the destination never
    assert_done(0x1002);
    assert_int_equal(world.bytes[0x10006], 0x66);
}

// --- ports ----------------------------------------------------------------------------------

static void test_ins(void **state)
{
    (void)state;
    world_start(32);
    world.page.gpr[GPR_RDX] = 0xabc001f0u;
    world.page.gpr[GPR_RDI] = 0x3ffe;
    world.page.gpr[GPR_RCX] = 3;
    world.read_only = 0x4000;
    RUN(0xf3, 0x66, 0x6d); // rep insw
    assert_exception(EMULATE_VECTOR_PAGE, true, 2);
    assert_int_equal(world.port_values, 1); // the port was not read for the word that faulted
    assert_int_equal(world.port, 0x1f0);
    assert_int_equal(world.port_size, 2);
    assert_int_equal(world.page.gpr[GPR_RCX], 2);
    world.read_only = NO_PAGE;
    world_run_at_rip();
    assert_done(0x1003);
    assert_int_equal(world.bytes[0x3fff], 0x33);
    assert_int_equal(world.bytes[0x4002], 2);
}

static void test_outs(void **state)
{
    (void)state;
    world_start(64);
    memcpy(&world.bytes[0x3000], "\1\2\3\4", 4);
    world.page.gpr[GPR_RDX] = 0x3f8;
    world.page.gpr[GPR_RSI] = 0x3000;
    world.page.gpr[GPR_RCX] = 4;
    RUN(0xf3, 0x6e); // rep outsb
    assert_done(0x1002);
    assert_int_equal(world.port_values, 4);
    assert_int_equal(world.port_sum, 10);
    assert_int_equal(world.port_size, 1);
    assert_int_equal(world.page.gpr[GPR_RSI], 0x3004);
}

// --- the cache ------------------------------------------------------------------------------

static struct decode_cache cache;

static void run_cached(const uint8_t *code, size_t size)
{
    world.page.rip = 0x1000;
    memcpy(&world.bytes[0x1000], code, size);
    emulate_instruction_cached(&world.page, &world_operations, &world, &cache, &world.result);
}

// The same place, but other bytes, another mode, or fewer bytes in reach.
static void test_cache_follows_code(void **state)
{
    static const uint8_t add[] = {0x48, 0x83, 0x03, 0x05}; // add qword [rbx], 5; dec eax; add ...
    static const uint8_t sub[] = {0x48, 0x83, 0x2b, 0x05};

    (void)state;
    memset(&cache, 0, sizeof(cache));
    world_start(64);
    world.page.gpr[GPR_RBX] = 0x3000;
    for (unsigned i = 1; i <= 3; i++) {
        run_cached(add, sizeof(add));
        assert_done(0x1004);
        assert_int_equal(world.bytes[0x3000], 5 * i);
    }
    run_cached(sub, sizeof(sub));
    assert_done(0x1004);
    assert_int_equal(world.bytes[0x3000], 10);

    world_start(32); // the first byte is an instruction of its own here
    run_cached(sub, sizeof(sub));
    assert_int_equal(world.result.outcome, EMULATE_UNSUPPORTED);

    world_start(32);
    world.page.gpr[GPR_RBX] = 0x3000;
    run_cached((const uint8_t[]){0x83, 0x03, 0x05}, 3);
    assert_done(0x1003);
    world.page.segment[SEGMENT_CS].limit = 0x1001;
    run_cached((const uint8_t[]){0x83, 0x03, 0x05}, 3);
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetch_crosses_page),
        cmocka_unit_test(test_fifteen_bytes),
        cmocka_unit_test(test_fetch_limit),
        cmocka_unit_test(test_advance),
        cmocka_unit_test(test_data_crosses_page),
        cmocka_unit_test(test_repeat_partial),
        cmocka_unit_test(test_repeat_budget),
        cmocka_unit_test(test_repeat_single_step),
        cmocka_unit_test(test_repeat_zero_and_widths),
        cmocka_unit_test(test_compare_strings),
        cmocka_unit_test(test_string_segments),
        cmocka_unit_test(test_ins),
        cmocka_unit_test(test_outs),
        cmocka_unit_test(test_cache_follows_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
