// SPDX-License-Identifier: MIT
// Prepares fresh kernel stacks for switch_context; see context.h.
#include "arch/x86/cpu/context.h"

extern char context_start[]; // context.asm

// What switch_context pops, lowest address first.
struct saved_context {
    uint64_t r15, r14, r13, r12, rbp, rbx;
    uint64_t rip;
};
static_assert(sizeof(struct saved_context) == 56, "context.asm pops it");

uint64_t context_prepare(uint64_t start, void (*entry)(void *), void *argument)
{
    // RSP is `start`, aligned to 16, when context_start calls entry.
    struct saved_context *saved = (struct saved_context *)start - 1;
    *saved = (struct saved_context){
        .rbp = (uint64_t)entry, .rbx = (uint64_t)argument, .rip = (uint64_t)context_start};
    return (uint64_t)saved;
}
