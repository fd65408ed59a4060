// SPDX-License-Identifier: MIT
// kernel_main: brings the parts up in order, starts the first process, and becomes the idle thread.
#include "arch/x86/boot/boot_information.h"
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/paging/layout.h"
#include "drivers/acpi_tables.h"
#include "drivers/io_apic.h"
#include "drivers/local_apic.h"
#include "drivers/serial.h"
#include "drivers/time_base.h"
#include "kernel/abi/message.h"
#include "kernel/core/boot_options.h"
#include "kernel/core/event_log.h"
#include "kernel/core/interrupt.h"
#include "kernel/core/log.h"
#include "kernel/core/mode.h"
#include "kernel/core/panic.h"
#include "kernel/core/processors.h"
#include "kernel/core/selftest.h"
#include "kernel/core/serial_port.h"
#include "kernel/core/system_calls.h"
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/process/module.h"
#include "kernel/process/process.h"
#include "kernel/thread/scheduler.h"
#include "kernel/vm/vm.h"

#define FIRST_PROCESS "console"

#define SLICE_MICROSECONDS 2000u
#define MEMORY_MINIMUM     (16ull << 20) // free bytes below which nothing useful starts
#define KERNEL_RESERVE     32ull         // pages for the page tables of the kernel stacks

static void start_log(void)
{
    bool first = serial_initialize(0);
    bool second = serial_initialize(1);

    if (first || second) {
        log_set_port(second ? 1 : 0);
    }
    log_line(LOG_INFO, "Gatehouse on %s", cpu_features()->brand);
}

static void start_memory(const struct boot_information *boot)
{
    static struct page_range usable[BOOT_MEMORY_MAXIMUM];
    size_t count = 0;

    for (uint32_t i = 0; i < boot->memory_count; i++) {
        if (boot->memory[i].kind == BOOT_MEMORY_FREE) {
            usable[count++] = (struct page_range){boot->memory[i].start, boot->memory[i].end};
        }
    }
    enum status status = page_allocator_init(&kernel_pages, usable, count, memory_pointer(hpa(0)));
    uint64_t free_bytes = status == STATUS_OK ? page_free_count(&kernel_pages) * PAGE_SIZE : 0;
    log_line(LOG_INFO, "memory: %lu MiB free, %lu whole 2 MiB blocks", free_bytes >> 20,
             kernel_pages.whole);
    if (free_bytes < MEMORY_MINIMUM) {
        log_line(LOG_ERROR, "too little memory: %lu KiB are free, %llu KiB are needed",
                 free_bytes >> 10, MEMORY_MINIMUM >> 10);
        run_end(RUN_USAGE);
    }
}

static void require(enum status status, const char *what)
{
    if (status != STATUS_OK) {
        log_line(LOG_ERROR, "cannot go on: %s: %s", what, status_name(status));
        run_end(RUN_HOST_PANIC);
    }
}

static struct acpi_information acpi;

static void start_interrupts(const struct boot_information *boot)
{
    struct page_source source = memory_page_source(PAGE_OWNER_KERNEL);
    enum status found = acpi_discover(boot, &source, &acpi);

    if (found != STATUS_OK) {
        log_line(LOG_WARNING, "ACPI interrupt tables: %s, assuming a standard PC",
                 status_name(found));
    }
    legacy_pic_disable();
    require(local_apic_initialize(acpi.local_apic_address, INTERRUPT_SPURIOUS, INTERRUPT_TIMER,
                                  &source),
            "local APIC");
    require(io_apic_initialize(&acpi, &source), "I/O APIC");
    require(time_base_calibrate(), "time base");
    log_line(LOG_INFO, "clock: %lu kHz; local APIC %u", time_base_tsc_hz() / 1000, local_apic_id());
}

// Containers share all memory but what is the kernel's, and what other CPUs than that which asks
// may keep at hand: within its quota nobody is refused a page.
static void start_containers(void)
{
    uint64_t kept = (processor_count() - 1) * (uint64_t)CPU_FREE_PAGES;

    container_tree_init(&kernel_containers, page_free_count(&kernel_pages) - KERNEL_RESERVE - kept,
                        CONTAINER_MAXIMUM);
}

// Without system calls no program can tell what is missing.
static void start_virtualisation(void)
{
    virt_init();
    if (virt_support()->lack != VM_LACKS_NOTHING && !cpu_features()->sysenter) {
        log_line(LOG_ERROR,
                 "no virtual machines here: the processor has no VMX. Gatehouse needs an Intel "
                 "processor from Westmere (2010) on, Bochs (--engine bochs), or QEMU with KVM and "
                 "nested VMX");
        run_end(RUN_NO_VMX);
    }
}

static void start_first_process(void)
{
    struct process_options options = {
        .module = module_find(FIRST_PROCESS),
        .container = container_handle(CONTAINER_ROOT),
        .struct_container = CONTAINER_ROOT,
        .priority = PRIORITY_COUNT - 1,
        .is_root = true,
    };
    struct process *process;

    if (options.module == MODULE_NONE) {
        log_line(LOG_ERROR,
                 "no boot module is named \"" FIRST_PROCESS "\": the boot menu must load one");
        run_end(RUN_BAD_IMAGE);
    }
    enum status status = process_create(&options, &process);
    if (status != STATUS_OK) {
        log_line(LOG_ERROR, "cannot start " FIRST_PROCESS ": %s", status_name(status));
        run_end(RUN_BAD_IMAGE);
    }
    object_release(&process->object);
}

NORETURN void kernel_main(const struct boot_information *boot)
{
    struct cpu *cpu = this_cpu();

    boot_options_set(boot);
    start_log();
    interrupt_install();
    start_memory(boot);
    event_log_start();
    start_interrupts(boot);
    cpu->apic_id = local_apic_id();
    scheduler_init(time_base_microseconds(SLICE_MICROSECONDS), local_apic_timer_set);
    scheduler_start_cpu(cpu);
    start_virtualisation();
    processors_start(boot, &acpi);
    module_init(boot);
    start_containers();
    serial_port_start(local_apic_id());
    system_calls_install();
    mode_start(cpu);
    if (command_line_has("selftest")) {
        selftest_start();
    } else {
        start_first_process();
    }
    scheduler_idle();
}
