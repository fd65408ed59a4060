// SPDX-License-Identifier: MIT
// Names of vectors and the text of a trap report; see trap.h. Reads the interrupted stack only
// where it is known to be mapped, so that a report never faults itself.
#include "arch/x86/boot/image.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/cpu/trap.h"
#include "kernel/lib/format.h"

#define TRACE_MAXIMUM 24u

static const char *const names[VECTOR_FIRST_INTERRUPT] = {
    [VECTOR_DIVIDE_ERROR] = "divide error",
    [VECTOR_DEBUG] = "debug",
    [VECTOR_NMI] = "non-maskable interrupt",
    [VECTOR_BREAKPOINT] = "breakpoint",
    [VECTOR_OVERFLOW] = "overflow",
    [VECTOR_BOUND] = "bound range exceeded",
    [VECTOR_INVALID_OPCODE] = "invalid opcode",
    [VECTOR_DEVICE_NOT_AVAILABLE] = "device not available",
    [VECTOR_DOUBLE_FAULT] = "double fault",
    [VECTOR_INVALID_TSS] = "invalid TSS",
    [VECTOR_SEGMENT_NOT_PRESENT] = "segment not present",
    [VECTOR_STACK_FAULT] = "stack fault",
    [VECTOR_GENERAL_PROTECTION] = "general protection",
    [VECTOR_PAGE_FAULT] = "page fault",
    [VECTOR_FPU_ERROR] = "x87 error",
    [VECTOR_ALIGNMENT_CHECK] = "alignment check",
    [VECTOR_MACHINE_CHECK] = "machine check",
    [VECTOR_SIMD_ERROR] = "SIMD error",
};

const char *trap_name(uint64_t vector)
{
    if (vector >= VECTOR_FIRST_INTERRUPT) {
        return "interrupt";
    }
    return names[vector] ? names[vector] : "reserved exception";
}

size_t stack_describe(char *buffer, size_t size, uint64_t rsp)
{
    bool boot = rsp >= (uint64_t)boot_stack && rsp < (uint64_t)boot_stack_end;
    bool slot = rsp >= STACK_AREA_BASE && rsp < STACK_AREA_BASE + STACK_AREA_SIZE;
    if (!boot && !slot) {
        return format_text(buffer, size, "  stack: not a kernel stack\n");
    }
    if (slot && (rsp & STACK_SLOT_SIZE / 2) == 0) { // it ran into the guard below
        rsp = (rsp | (STACK_SLOT_SIZE / 2 - 1)) + 1;
    }
    uint64_t end = (uint64_t)kernel_stack_top_of(rsp);
    size_t used = format_text(buffer, size, "  stack:");
    unsigned found = 0;
    for (uint64_t at = align_up(rsp, 8); at < end && found < TRACE_MAXIMUM && used < size;
         at += 8) {
        uint64_t word = *(const uint64_t *)at;
        if (word >= (uint64_t)text_start && word < (uint64_t)text_end) {
            used += format_text(buffer + used, size - used, "%s%016lx",
                                found % 4 == 0 ? "\n    " : " ", word);
            found++;
        }
    }
    if (used < size) {
        used += format_text(buffer + used, size - used, "\n");
    }
    return used;
}

size_t trap_describe(char *buffer, size_t size, const struct trap_frame *frame,
                     uint64_t fault_address)
{
    const struct trap_frame *f = frame;
    size_t used = format_text(buffer, size,
                              "%s (vector %lu) in ring %lu, error code %lx\n"
                              "  rip %04lx:%016lx  rsp %04lx:%016lx  rflags %08lx  cr2 %016lx\n"
                              "  rax %016lx  rcx %016lx  rdx %016lx  rbx %016lx\n"
                              "  rbp %016lx  rsi %016lx  rdi %016lx  r8  %016lx\n"
                              "  r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n"
                              "  r13 %016lx  r14 %016lx  r15 %016lx\n"
                              "  cr0 %016lx  cr3 %016lx  cr4 %016lx\n",
                              trap_name(f->vector), f->vector, f->cs & 3, f->error_code, f->cs,
                              f->rip, f->ss, f->rsp, f->rflags, fault_address, f->rax, f->rcx,
                              f->rdx, f->rbx, f->rbp, f->rsi, f->rdi, f->r8, f->r9, f->r10, f->r11,
                              f->r12, f->r13, f->r14, f->r15, cr0_read(), cr3_read(), cr4_read());
    if (!trap_from_user(frame) && used < size) {
        used += stack_describe(buffer + used, size - used, frame->rsp);
    }
    return used < size ? used : size - 1;
}
