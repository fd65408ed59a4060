// SPDX-License-Identifier: MIT
// Instructions on memory where no RAM is: reads give ones, writes are lost. Results and flags are
// those of the manual's pages of the instructions for an operand of all ones.
#include "guests/library/machine.h"
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/suite_subjects.h"

#define HOLE 0xf0000000ull

#define CF         1ull
#define PF         4ull
#define AF         0x10ull
#define ZF         0x40ull
#define SF         0x80ull
#define OF         0x800ull
#define ARITHMETIC (CF | PF | AF | ZF | SF | OF)

struct state {
    uint64_t rax, rbx, flags;
};

// `text` with the hole in RDI, and RAX and RBX as given.
#define RUN(text, rax_value, rbx_value)                                                            \
    __extension__({                                                                                \
        struct state state_ = {.rax = (rax_value), .rbx = (rbx_value)};                            \
        __asm__ volatile(text "\n\tpushfq; popq %%rcx"                                             \
                         : "+a"(state_.rax), "+b"(state_.rbx), "=c"(state_.flags)                  \
                         : "D"(HOLE)                                                               \
                         : "rdx", "memory", "cc");                                                 \
        state_;                                                                                    \
    })
#define RAX_AFTER(text)        RUN(text, 0x1122334455667788, 0).rax
#define FLAGS_AFTER(text, rax) (RUN(text, rax, 0).flags & ARITHMETIC)

static void check_loads(void)
{
    check("mov al, m8", RAX_AFTER("mov (%%rdi), %%al"), 0x11223344556677ff);
    check("mov ah, m8", RAX_AFTER("mov (%%rdi), %%ah"), 0x112233445566ff88);
    check("mov ax, m16", RAX_AFTER("mov (%%rdi), %%ax"), 0x112233445566ffff);
    check("mov eax, m32", RAX_AFTER("mov (%%rdi), %%eax"), 0xffffffff);
    check("mov rax, m64", RAX_AFTER("mov (%%rdi), %%rax"), ~0ull);
    check("movzx eax, m8", RAX_AFTER("movzbl (%%rdi), %%eax"), 0xff);
    check("movzx eax, m16", RAX_AFTER("movzwl (%%rdi), %%eax"), 0xffff);
    check("movsx rax, m8", RAX_AFTER("movsbq (%%rdi), %%rax"), ~0ull);
    check("movsx ax, m8", RAX_AFTER("movsbw (%%rdi), %%ax"), 0x112233445566ffff);
    check("movsxd rax, m32", RAX_AFTER("movslq (%%rdi), %%rax"), ~0ull);
    check("mov eax, moffs", RAX_AFTER("movabs 0xf0000010, %%eax"), 0xffffffff);
    check("mov with base, index, scale", RAX_AFTER("mov $2, %%edx; mov 5(%%rdi,%%rdx,8), %%eax"),
          0xffffffff);
    check("mov with a 32-bit address", RAX_AFTER("mov (%%edi), %%eax"), 0xffffffff);
    check("lods", RUN("mov %%rdi, %%rsi; lodsl; mov %%rsi, %%rbx", 0, 0).rbx, HOLE + 4);
    check("pop", RAX_AFTER("pushq (%%rdi); pop %%rax"), ~0ull);
}

static void check_stores(void)
{
    check("mov m8, imm8", FLAGS_AFTER("xor %%eax, %%eax; movb $1, (%%rdi)", 0), ZF | PF);
    check("mov m32, imm32", RAX_AFTER("movl $1, (%%rdi); mov (%%rdi), %%eax"), 0xffffffff);
    check("mov m64, rax", RAX_AFTER("mov %%rax, (%%rdi); mov (%%rdi), %%rax"), ~0ull);
    check("stos",
          RUN("mov $3, %%ecx; rep stosl; mov %%rdi, %%rbx; mov $0xf0000000, %%edi", 1, 0).rbx,
          HOLE + 12);
    check("movs from nothing to ram",
          RUN("push $0; mov %%rdi, %%rsi; mov %%rsp, %%rdi; movsl; pop %%rbx; mov %%rsi, %%rdi;"
              "sub $4, %%rdi",
              0, 0)
              .rbx,
          0xffffffff);
    check("pop m64", RAX_AFTER("push $5; popq (%%rdi); mov (%%rdi), %%rax"), ~0ull);
    check("setc", RAX_AFTER("stc; setc (%%rdi); mov (%%rdi), %%al"), 0x11223344556677ff);
}

static void check_arithmetic(void)
{
    check("add m32, 1", FLAGS_AFTER("addl $1, (%%rdi)", 0), CF | PF | AF | ZF);
    check("sub m32, 1", FLAGS_AFTER("subl $1, (%%rdi)", 0), SF);
    check("adc eax, m32", RAX_AFTER("mov $1, %%eax; stc; adc (%%rdi), %%eax"), 1);
    check("cmp m8, 0xff", FLAGS_AFTER("cmpb $0xff, (%%rdi)", 0), ZF | PF);
    check("cmp al, m8", FLAGS_AFTER("cmp (%%rdi), %%al", 0), CF | AF);
    check("and m16, 0", FLAGS_AFTER("andw $0, (%%rdi)", 0) & ~AF, ZF | PF);
    check("or eax, m32", RAX_AFTER("or (%%rdi), %%eax"), 0xffffffff);
    check("xor m64, rax", FLAGS_AFTER("xor %%rax, (%%rdi)", ~0ull) & ~AF, ZF | PF);
    check("test m8, 0x80", FLAGS_AFTER("testb $0x80, (%%rdi)", 0) & ~AF, SF);
    check("inc m32", FLAGS_AFTER("clc; incl (%%rdi)", 0), PF | AF | ZF);
    check("dec m8", FLAGS_AFTER("stc; decb (%%rdi)", 0), CF | SF);
    check("neg m32", FLAGS_AFTER("negl (%%rdi)", 0), CF | AF);
    check("not m32", FLAGS_AFTER("stc; notl (%%rdi)", 0) & CF, CF);
}

static void check_whole_operands(void)
{
    check("bsf eax, m32", RAX_AFTER("bsf (%%rdi), %%eax"), 0);
    check("bsr rax, m64", RAX_AFTER("bsr (%%rdi), %%rax"), 63);
    check("popcnt ax, m16", RAX_AFTER("popcnt (%%rdi), %%ax"), 0x1122334455660010);
    check("shld m32, ebx, 1", FLAGS_AFTER("shld $1, %%ebx, (%%rdi)", 0) & (CF | OF | SF), CF | SF);
    check("shrd m64, rbx, cl", RUN("mov $4, %%ecx; shrd %%cl, %%rbx, (%%rdi)", 0, 0).flags & CF,
          CF);
    check("div m8", RAX_AFTER("mov $0x1ff, %%eax; divb (%%rdi)"), 0x0102);
    check("idiv m64", RAX_AFTER("cqo; idivq (%%rdi)"), 0 - 0x1122334455667788);
    check("divide error",
          TRY("mov $0xff00, %%eax; divb (%%rdi)",
              :
              : "D"(HOLE)
              : "rax", "memory", "cc"),
          VECTOR_DE);
}

static void check_exchanges(void)
{
    check("xchg m32, eax", RAX_AFTER("xchg %%eax, (%%rdi)"), 0xffffffff);
    check("xadd m32, eax", RAX_AFTER("mov $2, %%eax; xadd %%eax, (%%rdi)"), 0xffffffff);
    check("cmpxchg, not equal", RAX_AFTER("xor %%eax, %%eax; lock cmpxchg %%ebx, (%%rdi)"),
          0xffffffff);
    check("cmpxchg, equal", FLAGS_AFTER("lock cmpxchg %%rbx, (%%rdi)", ~0ull), ZF | PF);
    check("bt", FLAGS_AFTER("btl $31, (%%rdi)", 0) & CF, CF);
    check("bts", FLAGS_AFTER("lock btsl $0, (%%rdi)", 0) & CF, CF);
    check("btr with a register offset", RUN("mov $100, %%eax; btr %%eax, (%%rdi)", 0, 0).flags & CF,
          CF);
    check("scas",
          RUN("mov $4, %%ecx; xor %%eax, %%eax; repe scasb; mov %%rdi, %%rbx;"
              "mov $0xf0000000, %%edi",
              0, 0)
              .rbx,
          HOLE + 1);
    check("cmps",
          RUN("mov %%rdi, %%rsi; mov $3, %%ecx; repe cmpsw; mov %%rcx, %%rbx;"
              "mov $0xf0000000, %%edi",
              0, 7)
              .rbx,
          0);
}

void subject_mmio(void)
{
    check_loads();
    check_stores();
    check_arithmetic();
    check_whole_operands();
    check_exchanges();
}
