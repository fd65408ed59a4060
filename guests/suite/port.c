// SPDX-License-Identifier: MIT
// IN, OUT, INS, OUTS in all sizes and forms. The devices are the interrupt controller's mask
// register (0x21), which keeps what was written, and ports where nothing is, which read as ones.
#include "guests/library/machine.h"
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/page_tables.h"
#include "guests/suite/suite_subjects.h"

#define MASK   0x21
#define ABSENT 0x5550

static uint8_t buffer[3 * 4096] __attribute__((aligned(4096)));

static uint64_t in_with(unsigned size, uint16_t port, uint64_t rax)
{
    if (size == 1) {
        __asm__ volatile("inb %%dx, %%al" : "+a"(rax) : "d"(port));
    } else if (size == 2) {
        __asm__ volatile("inw %%dx, %%ax" : "+a"(rax) : "d"(port));
    } else {
        __asm__ volatile("inl %%dx, %%eax" : "+a"(rax) : "d"(port));
    }
    return rax;
}

static void check_plain(void)
{
    uint64_t rax = 0xaaaaaaaaaaaaaaaa;

    port_out8(MASK, 0x5a);
    check("in al, dx", in_with(1, MASK, rax), 0xaaaaaaaaaaaaaa5a);
    check("in al, dx, nothing there", in_with(1, ABSENT, rax), 0xaaaaaaaaaaaaaaff);
    check("in ax, dx, nothing there", in_with(2, ABSENT, rax), 0xaaaaaaaaaaaaffff);
    check("in eax, dx, nothing there", in_with(4, ABSENT, rax), 0xffffffff);
    __asm__ volatile("mov $0xa5, %%al; outb %%al, $0x21; xor %%eax, %%eax; inb $0x21, %%al"
                     : "=a"(rax));
    check("out imm8, al; in al, imm8", rax & 0xff, 0xa5);
    __asm__ volatile("outw %%ax, $0x80; outl %%eax, $0x80; inw $0xe, %%ax; inl $0x4c, %%eax"
                     : "=a"(rax));
    port_out16(ABSENT, 0x1234);
    port_out32(ABSENT, 0x12345678);
    check("out to nothing", in_with(4, ABSENT, 0), 0xffffffff);
    port_out8(MASK, 0xff);
}

// Runs one string instruction with the registers given and gives back what they became.
struct string_registers {
    uint64_t rcx, rsi, rdi;
};
#define STRING(registers, port, text)                                                              \
    __asm__ volatile(text                                                                          \
                     : "+c"((registers).rcx), "+S"((registers).rsi), "+D"((registers).rdi)         \
                     : "d"(port)                                                                   \
                     : "memory", "cc")

static void check_ins(void)
{
    uintptr_t at = (uintptr_t)buffer;
    struct string_registers r = {7, 1, at};

    port_out8(MASK, 0x3c);
    buffer[1] = 0x77;
    STRING(r, MASK, "insb");
    check("insb", buffer[0] | buffer[1] << 8, 0x773c);
    check("insb, rdi", r.rdi, at + 1);
    check("insb, rcx", r.rcx, 7);
    r = (struct string_registers){5, 1, at + 10};
    STRING(r, MASK, "rep insb");
    check("rep insb", buffer[10] + buffer[14] + buffer[15], 2 * 0x3c);
    check("rep insb, rdi", r.rdi, at + 15);
    check("rep insb, rcx", r.rcx, 0);
    r = (struct string_registers){0, 1, at + 40};
    STRING(r, MASK, "rep insb");
    check("rep insb of none", r.rdi + buffer[40], at + 40);
    r = (struct string_registers){3, 1, at + 60};
    STRING(r, MASK, "std; rep insb; cld");
    check("rep insb downwards", buffer[58] + buffer[59] + buffer[60] + buffer[57], 3 * 0x3c);
    check("rep insb downwards, rdi", r.rdi, at + 57);
    r = (struct string_registers){2, 1, at + 80};
    STRING(r, ABSENT, "rep insw");
    check("rep insw", *(uint64_t *)(void *)&buffer[80], 0xffffffff);
    r = (struct string_registers){1, 1, at + 96};
    STRING(r, ABSENT, "rep insl");
    check("rep insl", *(uint64_t *)(void *)&buffer[96], 0xffffffff);
    r = (struct string_registers){1, 1, at + 120 + (1ull << 32)};
    STRING(r, MASK, "addr32 insb");
    check("insb with a 32-bit address", buffer[120], 0x3c);
    check("insb with a 32-bit address, rdi", r.rdi, at + 121);
}

static void check_outs(void)
{
    uintptr_t at = (uintptr_t)buffer;
    struct string_registers r = {9, at, 1};

    buffer[0] = 0x11;
    buffer[1] = 0x22;
    buffer[2] = 0x33;
    STRING(r, MASK, "outsb");
    check("outsb", in_with(1, MASK, 0), 0x11);
    check("outsb, rsi", r.rsi, at + 1);
    r = (struct string_registers){3, at, 1};
    STRING(r, MASK, "rep outsb");
    check("rep outsb ends with the last byte", in_with(1, MASK, 0), 0x33);
    check("rep outsb, rsi and rcx", r.rsi + r.rcx, at + 3);
    r = (struct string_registers){2, at, 1};
    STRING(r, ABSENT, "rep outsw");
    check("rep outsw, rsi", r.rsi, at + 4);
    r = (struct string_registers){2, at, 1};
    STRING(r, ABSENT, "rep outsl");
    check("rep outsl, rsi", r.rsi, at + 8);
    r = (struct string_registers){1, at + 1 + (1ull << 32), 1};
    STRING(r, MASK, "addr32 outsb");
    check("outsb with a 32-bit address", in_with(1, MASK, 0), 0x22);
    msr_write(0xc0000100, at);
    r = (struct string_registers){1, 2, 1};
    STRING(r, MASK, "outsb %%fs:(%%rsi), (%%dx)");
    check("outsb from fs", in_with(1, MASK, 0), 0x33);
    msr_write(0xc0000100, 0);
}

// Operands across a page boundary, and a page fault in the middle of a REP.
static void check_pages(void)
{
    uint8_t *edge = buffer + 4096;
    struct string_registers r = {3, 1, (uintptr_t)edge - 6};
    unsigned vector;

    STRING(r, ABSENT, "rep insl");
    check("rep insl across a page", edge[-6] & edge[-1] & edge[0] & edge[5], 0xff);
    r = (struct string_registers){1, (uintptr_t)edge - 1, 1};
    STRING(r, ABSENT, "outsw");
    check("outsw across a page", r.rsi, (uintptr_t)edge + 1);
    r = (struct string_registers){8, 1, (uintptr_t)edge - 4};
    port_out8(MASK, 0x42);
    page_set_present(edge, false);
    vector = TRY("rep insb", : "+c"(r.rcx), "+D"(r.rdi) : "d"((uint16_t)MASK) : "memory");
    page_set_present(edge, true);
    check("rep insb into a missing page", vector, VECTOR_PF);
    check("rep insb into a missing page, rcx", r.rcx, 4);
    check("rep insb into a missing page, rdi", r.rdi, (uintptr_t)edge);
    check("rep insb into a missing page, error code", trap_last.error_code, 2);
    check("rep insb into a missing page, cr2", trap_cr2, (uintptr_t)edge);
    check("rep insb into a missing page, bytes before", edge[-1], 0x42);
}

void subject_port(void)
{
    check_plain();
    check_ins();
    check_outs();
    check_pages();
    port_out8(MASK, 0xff);
}
