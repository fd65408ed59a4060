// SPDX-License-Identifier: MIT
// Modes of a checked build: the flags are compared with what the step requires, and with what the
// processor says. The twin is mode_plain.c.
#include "kernel/core/mode.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/paging/kernel_space.h"
#include "arch/x86/paging/layout.h"
#include "kernel/core/panic.h"
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/process/process.h"
#include "kernel/thread/scheduler.h"

#define ENTRY_ADDRESS 0x000ffffffffff000ull

static void demand(bool condition, const char *what)
{
    if (!condition) {
        panic("mode of CPU %u (0x%x): %s", this_cpu()->id, this_cpu()->mode, what);
    }
}

// The top-level entry of a page table for an address of the kernel's half.
static uint64_t top_entry(uint64_t root, uint64_t address)
{
    return ((const uint64_t *)memory_pointer(hpa(root & ENTRY_ADDRESS)))[address >> 39 & 511];
}

// The page table in force sees each area of the kernel as the kernel's own does.
static void check_kernel_half(void)
{
    static const uint64_t areas[] = {DIRECT_MAP_BASE, STACK_AREA_BASE, DEVICE_AREA_BASE,
                                     CPU_AREA_BASE, KERNEL_BASE};

    for (uint32_t i = 0; i < ARRAY_COUNT(areas); i++) {
        demand(top_entry(cr3_read(), areas[i]) == top_entry(kernel_space()->root.value, areas[i]),
               "the kernel's half of the page table is another one");
    }
}

// What runs in ring 3 does so on its own page table and comes back on its own kernel stack, and
// somebody pays for it.
static void check_user(const struct cpu *cpu)
{
    struct thread *thread = current_thread();

    demand(thread && thread->process, "a thread of the kernel is in ring 3");
    demand(cr3_read() == thread->process->space.table.root.value,
           "the page table is not the process's");
    demand(cpu->tss.rsp[0] == kernel_stack_start(stack_slot_address(thread->stack.slot)),
           "the kernel stack is not the thread's");
    demand(container_get(&kernel_containers, thread->process->container).used,
           "the container is not in use");
}

void mode_check(const struct cpu *cpu, enum cpu_mode from, enum cpu_mode to)
{
    demand(cpu == this_cpu(), "it is another CPU's");
    demand(cpu->mode == from, "the step starts from another one");
    demand((cr0_read() & CR0_PG) != 0, "paging is off");
    lock_note_none_held();
    check_kernel_half();
    if (from == MODE_USER || to == MODE_USER) {
        check_user(cpu);
    }
}
