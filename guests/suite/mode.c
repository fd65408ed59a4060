// SPDX-License-Identifier: MIT
// From 64-bit mode down to real mode and back ("Switching to Real-Address Mode", "Initializing
// IA-32e Mode"), with checks in each mode on the way; mode.asm does it below 1 MiB.
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/suite_subjects.h"

// What mode.asm found. It is copied to MODE_TARGET with the code.
struct mode_results {
    uint32_t real_interrupt; // 0x1234: INT 0x60 in real mode went to the vector's handler
    uint32_t real_segment;   // a segment is its selector * 16 there
    uint32_t real_cpuid;     // EAX of leaf 0
    uint32_t real_port;      // mask register of the interrupt controller, read in real mode
    uint32_t real_msr;       // EFER, read in real mode
    uint32_t big_segment;    // what a 4 GiB data segment in real mode reaches
    uint32_t protected_word; // the machine status word in protected mode
    uint32_t virtual_8086;   // 0x5678: a virtual-8086 program ran and came back by INT
    uint32_t virtual_segment;
    uint32_t lmsw_word;   // the word after LMSW set PE
    uint32_t real_string; // a word moved by REP INSB in real mode
    uint32_t divide;      // 0xdead: #DE in real mode went through vector 0
};

#define MODE_TARGET 0x8000u

extern const uint8_t mode_start[], mode_end[];
extern const uint8_t mode_entry[], mode_data[];

void subject_mode(void)
{
    uint8_t *target = (uint8_t *)(uintptr_t)MODE_TARGET;
    const struct mode_results *results;
    void (*run)(void);
    uint32_t leaf;

    for (unsigned i = 0; i < (unsigned)(mode_end - mode_start); i++) {
        target[i] = mode_start[i];
    }
    results = (const void *)(target + (mode_data - mode_start));
    run = (void (*)(void))(uintptr_t)(MODE_TARGET + (uint32_t)(mode_entry - mode_start));
    port_out8(0x21, 0xa7);
    run();
    traps_install();
    __asm__ volatile("cpuid" : "=a"(leaf) : "a"(0) : "rbx", "rcx", "rdx");
    check("real mode, int", results->real_interrupt, 0x1234);
    check("real mode, segment", results->real_segment, 0xfeed);
    check("real mode, cpuid", results->real_cpuid, leaf);
    check("real mode, in", results->real_port, 0xa7);
    check("real mode, rep insb", results->real_string, 0xa7a7);
    check("real mode, rdmsr", results->real_msr & 0x500, 0);
    check("real mode, #DE", results->divide, 0xdead);
    check("real mode with a 4 GiB segment", results->big_segment, 0x1badb002);
    check("lmsw enters protected mode", results->lmsw_word & 1, 1);
    check("protected mode, smsw", results->protected_word & 1, 1);
    check("virtual-8086 mode", results->virtual_8086, 0x5678);
    check("virtual-8086 mode, segment", results->virtual_segment, 0xfeed);
    port_out8(0x21, 0xff);
}
