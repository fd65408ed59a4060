// SPDX-License-Identifier: MIT
// The emulator in cases with known answers: 16- and 32-bit code, segmentation, faults and their
// priorities, page crossings, repetition with partial progress, ports, refusals.
#include "vmm/emulate/alu.h"
#include "vmm/emulate/emulate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define MEMORY_BYTES 0x40000u
#define NO_PAGE      UINT64_MAX

// A flat guest: linear address = index into bytes[]; one page may be missing, one read-only.
struct world {
    struct vcpu_page page;
    struct emulate_result result;
    uint8_t bytes[MEMORY_BYTES];
    uint64_t missing;   // linear address of a page that faults on every access
    uint64_t read_only; // linear address of a page that faults on writes
    uint64_t refused;   // linear address of a page that ends the emulation
    uint16_t port;      // of the last port operation
    uint32_t port_size;
    uint32_t port_values; // returned by IN, counting up; number of OUTs
    uint32_t port_sum;    // of the values written
    unsigned reads;       // data reads
};

static struct world world;

static enum status check(uint64_t address, uint32_t size, uint32_t access,
                         struct emulate_fault *fault)
{
    for (uint64_t page = align_down(address, PAGE_SIZE); page < address + size; page += PAGE_SIZE) {
        if (page == world.refused || page >= MEMORY_BYTES)
            return STATUS_NOT_FOUND;
        if (page == world.missing || (page == world.read_only && (access & EMULATE_WRITE))) {
            *fault = (struct emulate_fault){.vector = EMULATE_VECTOR_PAGE,
                                            .has_error_code = true,
                                            .error_code = access & EMULATE_WRITE ? 2 : 0,
                                            .address = page > address ? page : address};
            return STATUS_FAULT;
        }
    }
    return STATUS_OK;
}

static enum status world_read(void *context, gva_t address, void *buffer, uint32_t size,
                              uint32_t access, struct emulate_fault *fault)
{
    uint64_t at = address.value;
    enum status status = check(at, size, access, fault);

    assert_ptr_equal(context, &world);
    if (status == STATUS_OK)
        memcpy(buffer, &world.bytes[at], size);
    if (!(access & EMULATE_FETCH))
        world.reads++;
    return status;
}

static enum status world_write(void *context, gva_t address, const void *buffer, uint32_t size,
                               struct emulate_fault *fault)
{
    uint64_t at = address.value;
    enum status status = check(at, size, EMULATE_WRITE, fault);

    assert_ptr_equal(context, &world);
    if (status == STATUS_OK)
        memcpy(&world.bytes[at], buffer, size);
    return status;
}

static enum status world_probe(void *context, gva_t address, uint32_t size, uint32_t access,
                               struct emulate_fault *fault)
{
    assert_ptr_equal(context, &world);
    return check(address.value, size, access, fault);
}

static enum status world_in(void *context, uint16_t port, uint32_t size, uint32_t *value)
{
    assert_ptr_equal(context, &world);
    world.port = port;
    world.port_size = size;
    *value = 0x11223300u + world.port_values++;
    return STATUS_OK;
}

static enum status world_out(void *context, uint16_t port, uint32_t size, uint32_t value)
{
    assert_ptr_equal(context, &world);
    world.port = port;
    world.port_size = size;
    world.port_values++;
    world.port_sum += value;
    return STATUS_OK;
}

static const struct emulate_operations operations = {
    .read = world_read,
    .write = world_write,
    .probe = world_probe,
    .port_in = world_in,
    .port_out = world_out,
};

// Code at 0x1000; segments with base 0 (16-bit code: DS and ES 0x10000, SS 0x20000, limit 64 KiB).
static void start(unsigned mode)
{
    static const uint32_t code_rights[] = {0x9b, 0xc09b, 0xa09b};

    memset(&world, 0, sizeof(world));
    world.missing = world.read_only = world.refused = NO_PAGE;
    world.page.valid = VCPU_GROUP_ALL;
    world.page.cr0 = mode == 16 ? 0 : 0x80000001u;
    world.page.efer = mode == 64 ? 0x500 : 0;
    world.page.rip = 0x1000;
    world.page.rflags = 2;
    for (unsigned i = 0; i < 6; i++) {
        world.page.segment[i].limit = mode == 16 ? 0xffff : 0xffffffffu;
        world.page.segment[i].access_rights = mode == 16 ? 0x93 : 0xc093;
    }
    world.page.segment[SEGMENT_CS].access_rights = code_rights[mode / 32];
    if (mode == 16) {
        world.page.segment[SEGMENT_DS].base = 0x10000;
        world.page.segment[SEGMENT_ES].base = 0x10000;
        world.page.segment[SEGMENT_SS].base = 0x20000;
    }
}

static void run_at_rip(void)
{
    emulate_instruction(&world.page, &operations, &world, &world.result);
}

#define RUN(...) run((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void run(const uint8_t *code, size_t size)
{
    memcpy(&world.bytes[world.page.segment[SEGMENT_CS].base + world.page.rip], code, size);
    run_at_rip();
}

static void assert_done(uint64_t rip)
{
    assert_int_equal(world.result.outcome, EMULATE_DONE);
    assert_int_equal(world.page.rip, rip);
    assert_true(world.page.dirty & VCPU_GROUP_RIP);
}

static void assert_exception(unsigned vector, bool has_error_code, uint32_t error_code)
{
    assert_int_equal(world.result.outcome, EMULATE_EXCEPTION);
    assert_int_equal(world.result.fault.vector, vector);
    assert_int_equal(world.result.fault.has_error_code, has_error_code);
    assert_int_equal(world.result.fault.error_code, error_code);
    assert_int_equal(world.page.rip, 0x1000);
}

// --- 16- and 32-bit code --------------------------------------------------------------------

static void test_real_mode_forms(void **state)
{
    (void)state;
    start(16);
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
    start(16);
    world.page.gpr[GPR_RBX] = 0xfff0;
    RUN(0xc6, 0x47, 0x20, 0x55); // mov byte [bx+0x20]: wraps to 0x10
    assert_done(0x1004);
    assert_int_equal(world.bytes[0x10010], 0x55);

    start(16);
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
    start(32);
    world.page.gpr[GPR_RBX] = 0x2000;
    world.page.segment[SEGMENT_DS].access_rights = 0xc091; // read-only
    RUN(0x89, 0x03);                                       // mov [ebx], eax
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
    RUN(0x8b, 0x03);
    assert_done(0x1002);

    start(32);
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
    start(32);
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

static void test_segment_base_wraps(void **state)
{
    (void)state;
    start(32);
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
    start(16);
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

    start(32);
    world.page.gpr[GPR_RSP] = 0x5000;
    world.bytes[0x5000] = 0x99;
    world.read_only = 0x5000;
    RUN(0x8f, 0x04, 0x24); // pop [esp]: addressed after the increment, here faulting
    assert_exception(EMULATE_VECTOR_PAGE, true, 2);
    assert_int_equal(world.result.fault.address, 0x5004);
    assert_int_equal(world.page.gpr[GPR_RSP], 0x5000);
}

static void test_byte_registers(void **state)
{
    (void)state;
    start(32);
    world.page.gpr[GPR_RAX] = 0x11223344;
    world.page.gpr[GPR_RBX] = 0x2000;
    world.bytes[0x2000] = 0xee;
    RUN(0x8a, 0x23); // mov ah, [ebx]
    assert_int_equal(world.page.gpr[GPR_RAX], 0x1122ee44);
    RUN(0x88, 0x43, 0x01); // mov [ebx+1], al
    assert_int_equal(world.bytes[0x2001], 0x44);

    start(64);
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
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        struct vcpu_page before;

        start(64);
        for (unsigned n = 0; n < GPR_COUNT; n++)
            world.page.gpr[n] = n + 1;
        world.page.gpr[GPR_RBX] = 0x3000;
        world.page.rflags = 0x8d7;
        world.read_only = 0x3000;
        before = world.page;
        run(forms[i], 4);
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
    start(64);
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
    start(64);
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
    start(32);
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
    start(64);
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
    start(64);
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
    start(64);
    world.refused = 0x3000;
    world.page.gpr[GPR_RBX] = 0x3000;
    RUN(0x01, 0x03);
    assert_int_equal(world.result.outcome, EMULATE_FAILED);
    assert_int_equal(world.result.status, STATUS_NOT_FOUND);
    assert_int_equal(world.page.rip, 0x1000);
}

// --- fetching -------------------------------------------------------------------------------

static void test_fetch_crosses_page(void **state)
{
    (void)state;
    start(64);
    world.page.rip = 0x1ffd;
    RUN(0xc7, 0x04, 0x25, 0x00, 0x30, 0x00, 0x00, 0x78, 0x56, 0x34, 0x12); // mov [0x3000], imm
    assert_done(0x2008);
    assert_int_equal(world.bytes[0x3003], 0x12);

    start(64);
    world.page.rip = 0x1ffd;
    world.missing = 0x2000;
    RUN(0xc7, 0x04, 0x25, 0x00, 0x30, 0x00, 0x00, 0x78, 0x56, 0x34, 0x12);
    assert_int_equal(world.result.outcome, EMULATE_EXCEPTION);
    assert_int_equal(world.result.fault.vector, EMULATE_VECTOR_PAGE);
    assert_int_equal(world.result.fault.address, 0x2000);
    assert_int_equal(world.page.rip, 0x1ffd);

    start(64);
    world.page.rip = 0x1ffd; // complete before the boundary: the next page is not touched
    world.page.gpr[GPR_RBX] = 0x3000;
    world.missing = 0x2000;
    RUN(0x48, 0x89, 0x03);
    assert_done(0x2000);
}

static void test_fifteen_bytes(void **state)
{
    (void)state;
    start(64);
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
    start(32);
    world.page.gpr[GPR_RBX] = 0x3000;
    world.page.segment[SEGMENT_CS].limit = 0x1001;
    RUN(0x89, 0x03);
    assert_done(0x1002);
    run_at_rip(); // past the limit
    assert_int_equal(world.result.outcome, EMULATE_EXCEPTION);
    assert_int_equal(world.result.fault.vector, EMULATE_VECTOR_PROTECTION);
    world.page.rip = 0x1000;
    world.page.segment[SEGMENT_CS].limit = 0x1000;
    run_at_rip(); // across it
    assert_exception(EMULATE_VECTOR_PROTECTION, true, 0);
}

static void test_advance(void **state)
{
    (void)state;
    start(32);
    world.page.rip = 0xffffffffu;
    world.page.rflags = RFLAGS_RF | RFLAGS_TF | 2;
    world.page.interruptibility = VCPU_BLOCKED_BY_STI | VCPU_BLOCKED_BY_NMI;
    assert_true(emulate_advance(&world.page, 2));
    assert_int_equal(world.page.rip, 1);
    assert_int_equal(world.page.rflags, RFLAGS_TF | 2);
    assert_int_equal(world.page.interruptibility, VCPU_BLOCKED_BY_NMI);
    start(64);
    world.page.rip = 0xffffffffu;
    assert_false(emulate_advance(&world.page, 2));
    assert_int_equal(world.page.rip, 0x100000001ull);
}

// --- accesses that cross a page -------------------------------------------------------------

static void test_data_crosses_page(void **state)
{
    (void)state;
    start(64);
    world.page.gpr[GPR_RBX] = 0x3ffd;
    world.page.gpr[GPR_RAX] = 0x1122334455667788ull;
    RUN(0x48, 0x89, 0x03);
    assert_done(0x1003);
    assert_int_equal(world.bytes[0x3ffd], 0x88);
    assert_int_equal(world.bytes[0x4004], 0x11);

    start(64);
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
    start(64);
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
    run_at_rip();
    assert_done(0x1002);
    assert_int_equal(world.page.gpr[GPR_RCX], 0);
    assert_int_equal(world.bytes[0x500b], 0xcd);
    assert_int_equal(world.bytes[0x500c], 0);
}

static void test_repeat_budget(void **state)
{
    (void)state;
    start(32);
    world.page.gpr[GPR_RDI] = 0x10000;
    world.page.gpr[GPR_RCX] = EMULATE_REPEAT_MAXIMUM + 10;
    world.page.gpr[GPR_RAX] = 0x5a;
    RUN(0xf3, 0xaa); // rep stosb
    assert_int_equal(world.result.outcome, EMULATE_AGAIN);
    assert_int_equal(world.page.rip, 0x1000);
    assert_int_equal(world.page.gpr[GPR_RCX], 10);
    assert_int_equal(world.page.gpr[GPR_RDI], 0x10000 + EMULATE_REPEAT_MAXIMUM);
    run_at_rip();
    assert_done(0x1002);
    assert_int_equal(world.bytes[0x10000 + EMULATE_REPEAT_MAXIMUM + 9], 0x5a);
    assert_int_equal(world.bytes[0x10000 + EMULATE_REPEAT_MAXIMUM + 10], 0);
}

static void test_repeat_single_step(void **state)
{
    (void)state;
    start(32);
    world.page.gpr[GPR_RDI] = 0x3000;
    world.page.gpr[GPR_RCX] = 2;
    world.page.rflags |= RFLAGS_TF;
    RUN(0xf3, 0xaa);
    assert_int_equal(world.result.outcome, EMULATE_AGAIN);
    assert_true(world.result.single_step);
    assert_int_equal(world.page.gpr[GPR_RCX], 1);
    run_at_rip();
    assert_done(0x1002);
    assert_true(world.result.single_step);
}

static void test_repeat_zero_and_widths(void **state)
{
    (void)state;
    start(64);
    world.missing = 0x3000;
    world.page.gpr[GPR_RDI] = 0x3000;
    RUN(0xf3, 0xab); // count 0: no access
    assert_done(0x1002);

    start(16);
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
    start(32);
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
    start(16);
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
    start(32);
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
    run_at_rip();
    assert_done(0x1003);
    assert_int_equal(world.bytes[0x3fff], 0x33);
    assert_int_equal(world.bytes[0x4002], 2);
}

static void test_outs(void **state)
{
    (void)state;
    start(64);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_mode_forms),
        cmocka_unit_test(test_real_mode_wrap_and_limit),
        cmocka_unit_test(test_protected_segments),
        cmocka_unit_test(test_expand_down),
        cmocka_unit_test(test_segment_base_wraps),
        cmocka_unit_test(test_push_pop),
        cmocka_unit_test(test_byte_registers),
        cmocka_unit_test(test_fault_changes_nothing),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_gs_base),
        cmocka_unit_test(test_alignment_check),
        cmocka_unit_test(test_undefined),
        cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_failed),
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
