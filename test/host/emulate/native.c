// SPDX-License-Identifier: MIT
// The emulator against the processor. See native.h.
#define _GNU_SOURCE
#include "test/host/emulate/native.h"
#include <cpuid.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "test/host/emulate/native_flags.h"
#include "vmm/emulate/alu.h"
#include "vmm/emulate/decode.h"
#include "vmm/emulate/emulate.h"

#define CODE_BASE   0x20000000ull // below 4 GiB: 32-bit addresses reach it
#define CODE_BYTES  0x1000u
#define DATA_BASE   0x20010000ull
#define DATA_BYTES  0x4000u
#define DATA_MIDDLE (DATA_BASE + DATA_BYTES / 2)

// What native_run loads and stores; the assembly below knows the layout.
struct native_state {
    uint64_t gpr[GPR_COUNT];
    uint64_t rflags;
    uint64_t code;  // where to jump
    uint64_t stack; // the caller's RSP meanwhile
};
static_assert(offsetof(struct native_state, rflags) == 128, "native_run uses it");

extern struct native_state native_state;
extern const char native_return[];
void native_run(void);

struct native_state native_state;

__asm__(".text\n"
        ".globl native_run, native_return\n"
        "native_run:\n"
        "    push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsp, native_state+144(%rip)\n"
        "    pushq native_state+128(%rip)\n"
        "    popfq\n"
        "    mov native_state+0(%rip), %rax; mov native_state+8(%rip), %rcx\n"
        "    mov native_state+16(%rip), %rdx; mov native_state+24(%rip), %rbx\n"
        "    mov native_state+32(%rip), %rsp; mov native_state+40(%rip), %rbp\n"
        "    mov native_state+48(%rip), %rsi; mov native_state+56(%rip), %rdi\n"
        "    mov native_state+64(%rip), %r8; mov native_state+72(%rip), %r9\n"
        "    mov native_state+80(%rip), %r10; mov native_state+88(%rip), %r11\n"
        "    mov native_state+96(%rip), %r12; mov native_state+104(%rip), %r13\n"
        "    mov native_state+112(%rip), %r14; mov native_state+120(%rip), %r15\n"
        "    jmp *native_state+136(%rip)\n"
        "native_return:\n"
        "    mov %rax, native_state+0(%rip); mov %rcx, native_state+8(%rip)\n"
        "    mov %rdx, native_state+16(%rip); mov %rbx, native_state+24(%rip)\n"
        "    mov %rsp, native_state+32(%rip); mov %rbp, native_state+40(%rip)\n"
        "    mov %rsi, native_state+48(%rip); mov %rdi, native_state+56(%rip)\n"
        "    mov %r8, native_state+64(%rip); mov %r9, native_state+72(%rip)\n"
        "    mov %r10, native_state+80(%rip); mov %r11, native_state+88(%rip)\n"
        "    mov %r12, native_state+96(%rip); mov %r13, native_state+104(%rip)\n"
        "    mov %r14, native_state+112(%rip); mov %r15, native_state+120(%rip)\n"
        "    mov native_state+144(%rip), %rsp\n"
        "    pushfq\n"
        "    popq native_state+128(%rip)\n"
        "    cld\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "    ret\n");

static uint8_t *code;                // CODE_BASE
static uint8_t *data;                // DATA_BASE
static uint8_t shadow[DATA_BYTES];   // the emulator's copy of it
static struct vcpu_page page;        // the emulator's registers
static uint64_t native_selectors[6]; // ES to GS
static volatile bool divide_error;   // of the processor

// --- the emulator's memory ------------------------------------------------------------------

static enum status flat_read(void *context, gva_t address, void *buffer, uint32_t size,
                             uint32_t access, struct emulate_fault *fault)
{
    (void)context;
    (void)fault;
    if (access & EMULATE_FETCH) {
        if (!range_fits(address.value - CODE_BASE, size, CODE_BYTES))
            abort();
        memcpy(buffer, code + (address.value - CODE_BASE), size);
        return STATUS_OK;
    }
    if (!range_fits(address.value - DATA_BASE, size, DATA_BYTES))
        return STATUS_NOT_FOUND;
    memcpy(buffer, shadow + (address.value - DATA_BASE), size);
    return STATUS_OK;
}

static enum status flat_write(void *context, gva_t address, const void *buffer, uint32_t size,
                              struct emulate_fault *fault)
{
    (void)context;
    (void)fault;
    if (!range_fits(address.value - DATA_BASE, size, DATA_BYTES))
        return STATUS_NOT_FOUND;
    memcpy(shadow + (address.value - DATA_BASE), buffer, size);
    return STATUS_OK;
}

static const struct emulate_operations flat_operations = {.read = flat_read, .write = flat_write};

// --- making an instruction ------------------------------------------------------------------

struct sample {
    uint8_t bytes[32];
    unsigned length;
    unsigned displacement_at; // offset in bytes[], 0: none
    struct instruction instruction;
};

static void put(struct sample *sample, uint64_t value, unsigned size)
{
    memcpy(&sample->bytes[sample->length], &value, size);
    sample->length += size;
}

static bool chance(struct random *random, unsigned one_in)
{
    return random_below(random, one_in) == 0;
}

static bool is_scan(unsigned operation)
{
    return operation >= OPERATION_BSF && operation <= OPERATION_POPCNT;
}

static void make_prefixes(struct random *random, const struct opcode *row, struct sample *sample)
{
    static const uint8_t segments[] = {0x26, 0x2e, 0x36, 0x3e};

    if (chance(random, 4))
        put(sample, 0x66, 1);
    if (chance(random, 8))
        put(sample, 0x67, 1);
    if (chance(random, 8))
        put(sample, segments[random_below(random, 4)], 1);
    if ((row->form == FORM_STRING || is_scan(row->operation)) && !chance(random, 3))
        put(sample, chance(random, 2) ? PREFIX_REP : PREFIX_REPNE, 1);
    if (chance(random, 8))
        put(sample, 0xf0, 1);
    if (chance(random, 2))
        put(sample, 0x40 | random_below(random, 16), 1);
}

// ModRM, SIB, displacement; the displacement's place is noted.
static void make_operand(struct random *random, struct sample *sample)
{
    uint8_t modrm = (uint8_t)random_next(random);
    uint8_t sib = (uint8_t)random_next(random);
    unsigned mod = modrm >> 6;
    bool has_sib = mod != 3 && (modrm & 7) == 4;
    bool absolute = mod == 0 && ((modrm & 7) == 5 || (has_sib && (sib & 7) == 5));

    put(sample, modrm, 1);
    if (has_sib)
        put(sample, sib, 1);
    sample->displacement_at = sample->length;
    if (mod == 1)
        put(sample, random_next(random), 1);
    else if (mod == 2 || absolute)
        put(sample, random_next(random) & 0x7fffffff, 4);
}

bool native_lacks(unsigned operation)
{
    unsigned eax, ebx, ecx = 0, edx;

    if (operation == OPERATION_MOVBE)
        return !__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_MOVBE);
    // Privileged here: SMSW with UMIP.
    return operation == OPERATION_INS || operation == OPERATION_OUTS || operation == OPERATION_SMSW;
}

static bool is_skipped(const struct instruction *instruction)
{
    // What a register destination keeps differs between vendors.
    return native_lacks(instruction->operation) ||
           (instruction->operation == OPERATION_CMPXCHG && !instruction->memory);
}

static bool make_instruction(struct random *random, unsigned number, struct sample *sample)
{
    const struct opcode *row = &opcode_maps[number / 256][number % 256];

    *sample = (struct sample){.length = 0};
    if (row->operation == OPERATION_NONE && !(row->flags & OPCODE_GROUP))
        return false;
    make_prefixes(random, row, sample);
    if (number >= 256)
        put(sample, 0x0f, 1);
    if (number >= 512)
        put(sample, 0x38, 1);
    put(sample, number, 1);
    if (row->flags & OPCODE_MODRM)
        make_operand(random, sample);
    else
        sample->displacement_at = sample->length;
    put(sample, random_next(random), 8); // immediate or absolute address
    if (decode_instruction(sample->bytes, 15, 64, &sample->instruction) != DECODE_OK)
        return false;
    sample->length = sample->instruction.length;
    return !is_skipped(&sample->instruction);
}

// --- making its operands lie in the data ----------------------------------------------------

static void patch_displacement(struct sample *sample, uint64_t value, unsigned size)
{
    memcpy(&sample->bytes[sample->displacement_at], &value, size);
}

// Makes base + index * scale + displacement reach `target`; false when it cannot.
static bool aim(struct sample *sample, uint64_t target)
{
    const struct instruction *instruction = &sample->instruction;
    uint64_t *gpr = page.gpr;

    if (instruction->flags & OPCODE_OFFSET) {
        patch_displacement(sample, target, instruction->address_size);
    } else if (instruction->rip_relative) {
        patch_displacement(sample, target - CODE_BASE - instruction->length, 4);
    } else if (instruction->base != REGISTER_NONE) {
        uint64_t rest = instruction->displacement;

        if (instruction->index == instruction->base)
            return false;
        if (instruction->index != REGISTER_NONE)
            rest += gpr[instruction->index] << instruction->scale;
        gpr[instruction->base] = target - rest;
    } else if (instruction->index != REGISTER_NONE) {
        uint64_t rest = target - instruction->displacement;

        if (rest & ((1u << instruction->scale) - 1))
            return false;
        gpr[instruction->index] = rest >> instruction->scale;
    } else {
        patch_displacement(sample, target, 4);
    }
    return true;
}

// A bit offset in a register moves the address: keep it near.
static bool limit_bit_offset(struct random *random, const struct instruction *instruction)
{
    uint8_t reg = instruction->reg;

    if (instruction->operation < OPERATION_BT || instruction->operation > OPERATION_BTC ||
        instruction->form != FORM_RM_REG)
        return true;
    page.gpr[reg] = (uint64_t)random_below(random, 32768) - 16384;
    return reg != instruction->base && reg != instruction->index;
}

static uint64_t choose_target(struct random *random, const struct instruction *instruction)
{
    uint64_t target = DATA_MIDDLE - 1024 + random_below(random, 2048);

    return instruction->operation == OPERATION_CMPXCHG_PAIR ? align_down(target, 16) : target;
}

// Half of the compare-and-exchange instructions are to succeed.
static void make_equal(struct random *random, const struct instruction *instruction,
                       uint64_t target)
{
    uint64_t value[2] = {page.gpr[GPR_RAX], page.gpr[GPR_RDX]};
    unsigned size = instruction->operand_size;

    if (!chance(random, 2))
        return;
    if (instruction->operation == OPERATION_CMPXCHG_PAIR) {
        size = size == 8 ? 16 : 8;
        if (size == 8)
            value[0] = (value[0] & 0xffffffffu) | (value[1] << 32);
    } else if (instruction->operation != OPERATION_CMPXCHG) {
        return;
    }
    memcpy(data + (target - DATA_BASE), value, size);
    memcpy(shadow + (target - DATA_BASE), value, size);
}

static void random_registers(struct random *random)
{
    for (unsigned i = 0; i < GPR_COUNT; i++) {
        page.gpr[i] = random_next(random);
        if (chance(random, 4)) // small and round values meet the flags' edges
            page.gpr[i] = chance(random, 2) ? 1ull << random_below(random, 64)
                                            : (uint64_t)random_below(random, 5) - 2;
    }
    page.gpr[GPR_RSP] = DATA_MIDDLE + random_below(random, 64);
    page.rflags = 0x202 | (random_next(random) & (RFLAGS_ARITHMETIC | RFLAGS_DF));
    page.rip = CODE_BASE;
}

// Puts the operand in memory at `target`.
static bool place_operand(struct random *random, struct sample *sample, uint64_t target)
{
    const struct instruction *instruction = &sample->instruction;

    if (!limit_bit_offset(random, instruction) || !aim(sample, target))
        return false;
    // PUSH and POP with a moved stack pointer would leave the data.
    if (page.gpr[GPR_RSP] - DATA_BASE >= DATA_BYTES - 64 &&
        (instruction->operation == OPERATION_PUSH || instruction->operation == OPERATION_POP))
        return false;
    make_equal(random, instruction, target);
    return true;
}

static bool make_operands(struct random *random, struct sample *sample)
{
    const struct instruction *instruction = &sample->instruction;
    uint64_t target = choose_target(random, instruction);

    random_registers(random);
    if (instruction->form == FORM_STRING) {
        page.gpr[GPR_RSI] = DATA_MIDDLE - 512 + random_below(random, 1024);
        page.gpr[GPR_RDI] = DATA_MIDDLE - 512 + random_below(random, 1024);
        page.gpr[GPR_RCX] = 1 + random_below(random, 20);
        return true;
    }
    if (instruction->memory && !place_operand(random, sample, target))
        return false;
    return !native_is_double_shift(instruction) || // else the result is undefined
           native_shift_count(instruction, page.gpr[GPR_RCX]) <= 8u * instruction->operand_size;
}

// --- comparing ------------------------------------------------------------------------------

static bool same(const struct sample *sample, const struct emulate_result *result, uint64_t rcx)
{
    uint64_t flags = native_defined_flags(&sample->instruction, rcx);

    if (divide_error ? result->outcome != EMULATE_EXCEPTION ||
                           result->fault.vector != EMULATE_VECTOR_DIVIDE || page.rip != CODE_BASE
                     : result->outcome != EMULATE_DONE || page.rip != CODE_BASE + sample->length)
        return false;
    return memcmp(page.gpr, native_state.gpr, sizeof(page.gpr)) == 0 &&
           ((page.rflags ^ native_state.rflags) & flags) == 0 &&
           memcmp(data, shadow, DATA_BYTES) == 0;
}

static void report(const struct sample *sample, const struct emulate_result *result)
{
    fprintf(stderr, "outcome %d, status %d, rip %llx, flags %llx (native %llx), memory %s:",
            result->outcome, result->status, (unsigned long long)page.rip,
            (unsigned long long)page.rflags, (unsigned long long)native_state.rflags,
            memcmp(data, shadow, DATA_BYTES) == 0 ? "same" : "differs");
    for (unsigned i = 0; i < sample->length; i++)
        fprintf(stderr, " %02x", sample->bytes[i]);
    for (unsigned i = 0; i < GPR_COUNT; i++) {
        if (page.gpr[i] != native_state.gpr[i])
            fprintf(stderr, "; gpr %u %llx (native %llx)", i, (unsigned long long)page.gpr[i],
                    (unsigned long long)native_state.gpr[i]);
    }
    fprintf(stderr, "\n");
}

// The processor's divide error leaves the instruction as if it had not begun.
static void on_divide_error(int number, siginfo_t *information, void *context)
{
    ucontext_t *where = context;

    (void)number;
    (void)information;
    divide_error = true;
    where->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)native_return;
}

// On a stack of its own: the stack pointer is the sample's.
int native_catch_divide_errors(void)
{
    static uint8_t stack[65536];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};
    const struct sigaction action = {.sa_sigaction = on_divide_error,
                                     .sa_flags = SA_SIGINFO | SA_ONSTACK};

    return sigaltstack(&alternate, NULL) == 0 ? sigaction(SIGFPE, &action, NULL) : -1;
}

static bool run_both(const struct sample *sample)
{
    static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0}; // jmp *0(%rip), the address follows
    uint64_t back = (uint64_t)(uintptr_t)native_return;
    uint64_t rcx = page.gpr[GPR_RCX];
    struct emulate_result result;

    memcpy(code, sample->bytes, sample->length);
    memcpy(code + sample->length, jump, sizeof(jump));
    memcpy(code + sample->length + sizeof(jump), &back, sizeof(back));
    memcpy(native_state.gpr, page.gpr, sizeof(page.gpr));
    native_state.rflags = page.rflags;
    native_state.code = CODE_BASE;
    divide_error = false;
    native_run();
    emulate_instruction(&page, &flat_operations, NULL, &result);
    if (same(sample, &result, rcx))
        return true;
    report(sample, &result);
    memcpy(shadow, data, DATA_BYTES);
    return false;
}

void native_fill(struct random *random)
{
    for (unsigned i = 0; i < DATA_BYTES; i++)
        data[i] = shadow[i] = (uint8_t)random_next(random);
}

enum native_outcome native_try(struct random *random, unsigned number, unsigned *operation)
{
    struct sample sample;

    if (!make_instruction(random, number, &sample) || !make_operands(random, &sample))
        return NATIVE_NONE;
    *operation = sample.instruction.operation;
    return run_both(&sample) ? NATIVE_SAME : NATIVE_DIFFERS;
}

int native_set_up(void)
{
    const int protection = PROT_READ | PROT_WRITE;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

    code = mmap((void *)CODE_BASE, CODE_BYTES, protection | PROT_EXEC, flags, -1, 0);
    data = mmap((void *)DATA_BASE, DATA_BYTES, protection, flags, -1, 0);
    if (code == MAP_FAILED || data == MAP_FAILED)
        return -1;
    __asm__("mov %%es, %0; mov %%cs, %1; mov %%ss, %2"
            : "=r"(native_selectors[0]), "=r"(native_selectors[1]), "=r"(native_selectors[2]));
    __asm__("mov %%ds, %0; mov %%fs, %1; mov %%gs, %2"
            : "=r"(native_selectors[3]), "=r"(native_selectors[4]), "=r"(native_selectors[5]));
    page.cr0 = 0x80000001u;
    page.efer = 0x500;
    page.valid = VCPU_GROUP_ALL;
    for (unsigned i = 0; i < 6; i++)
        page.segment[i] = (struct vcpu_segment){.limit = 0xffffffffu,
                                                .access_rights = 0xc0f3,
                                                .selector = (uint16_t)native_selectors[i]};
    page.segment[SEGMENT_CS].access_rights = 0xa0fb;
    return 0;
}
