// SPDX-License-Identifier: MIT
// Per-CPU data, the kernel stack layout that leads to it, and the segment selectors.
//
// There is no GS in the kernel: the last 16 bytes of every kernel stack hold a
// struct kernel_stack_top, found by masking RSP. A struct cpu is written only by its own CPU with
// interrupts off (the kernel runs that way), so it has no lock; fields set before the CPU starts
// are marked constant.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "arch/x86/paging/layout.h"
#include "kernel/lib/compiler.h"

#define CPU_MAXIMUM    64u
#define CPU_FREE_PAGES 31u // that a CPU keeps at hand, at most

// Segment selectors, in the order that SYSENTER and SYSEXIT demand: SYSENTER_CS, +8 for SS, +32 and
// +40 for 64-bit user CS and SS.
#define SELECTOR_KERNEL_CODE 0x08
#define SELECTOR_KERNEL_DATA 0x10
#define SELECTOR_USER_CODE   0x2b
#define SELECTOR_USER_DATA   0x33
#define SELECTOR_TSS         0x38

#define KERNEL_STACK_SIZE 16384ull // also its alignment

// "64-Bit Mode TSS Format"
struct PACKED task_state {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7]; // IST1 is ist[0]
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
};
static_assert(sizeof(struct task_state) == 104, "the processor defines the TSS");
static_assert(offsetof(struct task_state, rsp) == 4, "SYSENTER_ESP points at rsp[0]");

// Interrupt stack table indices: these vectors never use the interrupted stack.
enum ist_index { IST_NONE, IST_NMI, IST_DOUBLE_FAULT, IST_MACHINE_CHECK, IST_DEBUG, IST_COUNT };

// The mode flags of a CPU, and the combinations that are legal. kernel/core/mode.h changes them,
// and system_call.asm where a system call begins.
enum cpu_mode {
    MODE_INIT = 1u << 0,  // boot finished
    MODE_IKERN = 1u << 1, // kernel, not user, code
    MODE_IHOST = 1u << 2, // host, not guest
    MODE_PG = 1u << 3,    // paging on
    MODE_IPT = 1u << 4,   // kernel page table in force

    MODE_BOOT = 0,
    MODE_USER = MODE_INIT | MODE_IHOST | MODE_PG,
    MODE_KERNEL = MODE_USER | MODE_IKERN | MODE_IPT,
    MODE_GUEST = MODE_KERNEL & ~MODE_IHOST,
};

// The last trap from ring 3 on this CPU. Traps taken by the kernel itself never write it.
struct trap_information {
    uint64_t vector;
    uint64_t error_code;
    uint64_t fault_address;  // CR2 of a page fault, else 0
    uint64_t return_address; // RIP to return to
};

struct cpu {
    // Constant once the CPU runs.
    uint32_t id; // 0 for the boot CPU, dense
    uint32_t apic_id;
    uint64_t *gdt;

    // Owned by arch.
    struct trap_information trap;
    void *fpu_owner;      // XSAVE area whose contents are in the registers, or null
    uint32_t tss_padding; // keeps tss.rsp[0] aligned to 8 for SYSENTER
    struct task_state tss;

    // Owned by the kernel.
    enum cpu_mode mode;
    uint32_t in_interrupt; // nesting of interrupt handlers
    void *kernel;          // the kernel's own per-CPU data

    // Owned by the page allocator: numbers of free pages. Other CPUs read how many.
    _Atomic uint64_t free_page_count;
    uint32_t free_pages[CPU_FREE_PAGES];
};
static_assert(offsetof(struct cpu, tss) % 8 == 4, "tss.rsp[0] is aligned to 8");

/*@ axiomatic numbered { logic struct cpu *cpu_number(integer id); } */

// CPU `id`, which must have been started once.
/*@
  terminates \true;
  assigns \result \from \nothing;
  ensures \result == cpu_number(id);
*/
static inline struct cpu *cpu_of(uint32_t id)
{
    return (struct cpu *)(CPU_AREA_BASE + id * CPU_SLOT_SIZE + CPU_SLOT_STRUCT);
}

struct thread; // the kernel's; null where no thread runs (boot, IST stacks)

struct kernel_stack_top {
    struct cpu *cpu;
    struct thread *thread;
};
static_assert(sizeof(struct kernel_stack_top) == 16, "entry code relies on it");

// The record at the top of the stack that contains `rsp`.
static inline struct kernel_stack_top *kernel_stack_top_of(uint64_t rsp)
{
    return (struct kernel_stack_top *)((rsp | (KERNEL_STACK_SIZE - 1)) + 1 -
                                       sizeof(struct kernel_stack_top));
}

static inline struct kernel_stack_top *kernel_stack_top(void)
{
    uint64_t rsp;
    __asm__("mov %%rsp, %0" : "=r"(rsp));
    return kernel_stack_top_of(rsp);
}

/*@ axiomatic running { logic struct cpu *running_cpu; } */

/*@
  terminates \true;
  assigns \result \from \nothing;
  ensures \result == running_cpu;
*/
static inline struct cpu *this_cpu(void)
{
    return kernel_stack_top()->cpu;
}

// Value for TSS.RSP0 and for the first push: `stack` is the lowest address of a kernel stack,
// aligned to KERNEL_STACK_SIZE.
static inline uint64_t kernel_stack_start(uint64_t stack)
{
    return stack + KERNEL_STACK_SIZE - sizeof(struct kernel_stack_top);
}

// Sets the stack on which this CPU enters the kernel from ring 3 (interrupts, exceptions and
// SYSENTER alike). `rsp` is a kernel_stack_start() value whose kernel_stack_top is filled in.
static inline void cpu_set_kernel_stack(struct cpu *cpu, uint64_t rsp)
{
    cpu->tss.rsp[0] = rsp;
}

// Makes the per-CPU data of CPU `id`, mapped but of any content, ready for cpu_initialize, and its
// boot stack for its first use.
struct cpu *cpu_prepare(uint32_t id);

// The start of the boot (idle) stack of CPU `id`.
static inline uint64_t cpu_boot_stack(uint32_t id)
{
    return kernel_stack_start(stack_slot_address(id * STACK_SLOTS_PER_CPU));
}

// Brings this CPU into its running state: GDT, TSS with its interrupt stacks, IDT, control
// registers, XCR0, PAT and SYSENTER MSRs. `cpu` lies at its place in the per-CPU area
// (paging/layout.h), with its interrupt stacks mapped.
void cpu_initialize(struct cpu *cpu);

// Base address of the IDT that all CPUs share; the VMCS host state needs it.
/*@
  axiomatic idt { logic uint64_t idt_base; }
*/
/*@
  terminates \true;
  assigns \nothing;
  ensures \result == idt_base;
*/
uint64_t cpu_idt_base(void);

// Value of MSR_PAT that the host uses; the VMCS host state needs it.
#define HOST_PAT 0x0007040600070406ull
