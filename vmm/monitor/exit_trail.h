// SPDX-License-Identifier: MIT
// The last exits that a vCPU's monitor saw, always kept, for the report when the guest dies: a few
// instructions an exit. Used by the vCPU's thread.
#pragma once

#include <stdint.h>
#include "kernel/abi/vcpu.h"
#include "kernel/lib/compiler.h"

#define EXIT_TRAIL 16u

struct exit_step {
    struct exit_step *next; // a ring
    uint64_t rip;
    uint64_t word; // vm_exit.words[0]
    uint64_t kind; // enum exit_kind; EXIT_NONE: not used yet
};

struct exit_trail {
    struct exit_step *at; // the oldest, to be overwritten next
    struct exit_step step[EXIT_TRAIL];
};

static inline void exit_trail_start(struct exit_trail *trail)
{
    for (unsigned i = 0; i < EXIT_TRAIL; i++) {
        trail->step[i] = (struct exit_step){.next = &trail->step[(i + 1) % EXIT_TRAIL]};
    }
    trail->at = &trail->step[0];
}

static ALWAYS_INLINE void exit_trail_add(struct exit_trail *trail, const struct vcpu_page *page,
                                         uint32_t kind)
{
    struct exit_step *step = trail->at;

    step->rip = page->rip;
    step->word = page->exit.words[0];
    step->kind = kind;
    trail->at = step->next;
}
