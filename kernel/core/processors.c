// SPDX-License-Identifier: MIT
// Starts the other processors (processors.h). Only the boot CPU, and the one processor that it is
// starting; what they tell each other are processor_stack and `state`.
#include "kernel/core/processors.h"
#include <stdatomic.h>
#include "arch/x86/boot/boot_information.h"
#include "arch/x86/boot/trampoline.h"
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/paging/kernel_space.h"
#include "arch/x86/paging/kernel_space_build.h"
#include "drivers/acpi.h"
#include "drivers/local_apic.h"
#include "drivers/time_base.h"
#include "kernel/core/log.h"
#include "kernel/core/mode.h"
#include "kernel/lib/string.h"
#include "kernel/memory/memory.h"
#include "kernel/thread/scheduler.h"
#include "kernel/vm/vm.h"

// Microseconds. The first two are those of "MP Initialization"; the others are generous.
#define AFTER_INIT  10000u
#define FIRST_WAIT  1000u
#define SECOND_WAIT 100000u
#define SET_UP_WAIT 1000000u

#define LOWEST_PAGE 0x8000u // below it firmware and boot loaders keep their own

enum state { STARTING, RUNS, UNFIT };

static _Atomic enum state state;
static _Atomic uint32_t running = 1;
static uint32_t mapped = 1; // CPUs whose per-CPU data is mapped

uint32_t processor_count(void)
{
    return atomic_load_explicit(&running, memory_order_acquire);
}

static uint64_t start_page(const struct boot_information *boot)
{
    for (uint32_t i = 0; i < boot->memory_count; i++) {
        const struct boot_memory *memory = &boot->memory[i];
        uint64_t page = memory->start > LOWEST_PAGE ? memory->start : LOWEST_PAGE;

        if (memory->kind == BOOT_MEMORY_LOW && page + PAGE_SIZE <= memory->end) {
            return page;
        }
    }
    return 0;
}

static bool taken(void)
{
    return atomic_load_explicit(&processor_stack, memory_order_relaxed) == 0;
}

static bool set_up(void)
{
    return atomic_load_explicit(&state, memory_order_acquire) != STARTING;
}

// Waits until `done`, at most that long; null: just waits.
static bool wait(uint64_t microseconds, bool (*done)(void))
{
    uint64_t end = tsc_read() + time_base_microseconds(microseconds);

    while (!done || !done()) {
        if (tsc_read() >= end) {
            return false;
        }
        cpu_relax();
    }
    return true;
}

// Wakes the processor up; false when it did not take the stack that waited for it.
static bool call(uint32_t apic_id, uint64_t page)
{
    uint32_t start = LOCAL_APIC_START | (uint32_t)(page / PAGE_SIZE);

    local_apic_send(apic_id, LOCAL_APIC_INIT);
    (void)wait(AFTER_INIT, NULL);
    local_apic_send(apic_id, start);
    if (wait(FIRST_WAIT, taken)) {
        return true;
    }
    local_apic_send(apic_id, start);
    if (wait(SECOND_WAIT, taken) || !atomic_exchange(&processor_stack, 0)) {
        return true;
    }
    local_apic_send(apic_id, LOCAL_APIC_INIT); // lest it comes later
    return false;
}

static enum status map_data(uint32_t id)
{
    struct page_source source = memory_page_source(PAGE_OWNER_KERNEL);

    if (id < mapped) {
        return STATUS_OK; // for one that did not answer
    }
    mapped = id + 1;
    return kernel_space_map_cpu(id, &source);
}

// Returns why the processor does not run; null when it does.
static const char *start_one(uint32_t apic_id, uint64_t page)
{
    uint32_t id = processor_count();

    if (!local_apic_reaches(apic_id)) {
        return "its local APIC cannot be reached";
    }
    if (map_data(id) != STATUS_OK) {
        return "there is too little memory";
    }
    (void)cpu_prepare(id);
    atomic_store_explicit(&state, STARTING, memory_order_relaxed);
    atomic_store_explicit(&processor_stack, cpu_boot_stack(id), memory_order_release);
    if (!call(apic_id, page)) {
        return "it does not answer";
    }
    if (!wait(SET_UP_WAIT, set_up) || atomic_load(&state) != RUNS) {
        mapped = 0; // it halts on its stack: nobody else may have that
        return "it cannot be set up";
    }
    atomic_store_explicit(&running, id + 1, memory_order_release);
    return NULL;
}

void processors_start(const struct boot_information *boot, const struct acpi_information *acpi)
{
    uint32_t limit = boot_command_line_number(boot, "cpus=", CPU_MAXIMUM);
    uint64_t page = start_page(boot);

    if (!page) {
        log_line(LOG_WARNING, "no page below 1 MiB is free: the other processors stay off");
        return;
    }
    memcpy(memory_pointer(hpa(page)), processor_trampoline,
           (uint64_t)processor_trampoline_end - (uint64_t)processor_trampoline);
    processor_root = kernel_space()->root.value;
    for (uint32_t i = 0; i < acpi->cpu_count && mapped && processor_count() < limit; i++) {
        uint32_t apic_id = acpi->cpu_apic_ids[i];
        const char *problem = apic_id != local_apic_id() ? start_one(apic_id, page) : NULL;

        if (problem) {
            log_line(LOG_WARNING, "processor with APIC id %u is left out: %s", apic_id, problem);
        }
    }
    if (acpi->cpu_count + acpi->cpu_left_out > 1) {
        log_line(LOG_INFO, "CPUs: %u of %u run", processor_count(),
                 acpi->cpu_count + acpi->cpu_left_out);
    }
}

NORETURN void processor_main(void)
{
    struct cpu *cpu = this_cpu();

    cpu_initialize(cpu);
    local_apic_start();
    cpu->apic_id = local_apic_id();
    scheduler_start_cpu(cpu);
    mode_start(cpu);
    bool fit = vm_start_cpu() == STATUS_OK;
    atomic_store_explicit(&state, fit ? RUNS : UNFIT, memory_order_release);
    if (!fit) {
        halt_forever();
    }
    scheduler_idle();
}
