// SPDX-License-Identifier: MIT
// The machine of host_machine.h, and what the kernel calls outside of it.
#define _GNU_SOURCE
#include "test/host/lockstep/host_machine.h"
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "arch/x86/cpu/context.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/fpu.h"
#include "arch/x86/paging/kernel_space.h"
#include "arch/x86/paging/layout.h"
#include "drivers/local_apic.h"
#include "kernel/core/interrupt.h"
#include "kernel/core/log.h"
#include "kernel/core/mode.h"
#include "kernel/core/panic.h"
#include "kernel/core/processors.h"
#include "kernel/memory/container.h"
#include "kernel/memory/memory.h"
#include "kernel/memory/shootdown.h"
#include "kernel/thread/scheduler.h"
#include "kernel/vm/vm.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/container.h"

static int ram; // a file, so that stacks and direct map are the same memory
static struct page_table space;
static uint64_t test_context;            // saved stack pointer of the test itself
static uint64_t cpu_contexts[HOST_CPUS]; // and of each CPU while it does not run
static uint64_t interrupted;
static uint32_t cpu_count;
static jmp_buf *panic_return; // of the CPU that runs; null: a panic is a failure

// -- memory ---------------------------------------------------------------------------------------

static void map_memory(uint64_t address, uint64_t bytes, int file, uint64_t offset)
{
    int flags = MAP_FIXED_NOREPLACE | (file >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
    void *at =
        mmap((void *)(uintptr_t)address, bytes, PROT_READ | PROT_WRITE, flags, file, (off_t)offset);

    if (at == MAP_FAILED) {
        lockstep_fail("no memory at 0x%lx", address);
    }
    __asan_unpoison_memory_region(at, bytes);
}

struct page_table *kernel_space(void)
{
    return &space;
}

enum status kernel_space_map_stack(uint32_t slot, const hpa_t pages[4],
                                   const struct page_source *source)
{
    (void)source;
    for (uint64_t i = 0; i < 4; i++) {
        map_memory(stack_slot_address(slot) + i * PAGE_SIZE, PAGE_SIZE, ram, pages[i].value);
    }
    return STATUS_OK;
}

enum status kernel_space_unmap_stack(uint32_t slot, const struct page_source *source)
{
    void *at = (void *)(uintptr_t)stack_slot_address(slot);

    (void)source;
    __asan_unpoison_memory_region(at, KERNEL_STACK_SIZE);
    munmap(at, KERNEL_STACK_SIZE);
    return STATUS_OK;
}

const struct cpu_features *cpu_features(void)
{
    static const struct cpu_features features = {.physical_bits = 40, .nx = true};

    return &features;
}

void kernel_space_forget_stack(uint32_t slot)
{
    (void)slot; // the simulated processors keep no translations
}

// -- switches of stacks, told to the address sanitizer -----

void __real_switch_context(uint64_t *save, uint64_t load);
void __wrap_switch_context(uint64_t *save, uint64_t load);
uint64_t __real_context_prepare(uint64_t start, void (*entry)(void *), void *argument);
uint64_t __wrap_context_prepare(uint64_t start, void (*entry)(void *), void *argument);

static const void *test_stack; // of the test itself
static size_t test_stack_size;

void __wrap_switch_context(uint64_t *save, uint64_t load)
{
    bool to_test = load - STACK_AREA_BASE >= STACK_AREA_SIZE;
    const void *stack = (const void *)(uintptr_t)(load & ~(KERNEL_STACK_SIZE - 1));
    const void *from;
    size_t from_size;
    void *fake = NULL;

    __sanitizer_start_switch_fiber(&fake, to_test ? test_stack : stack,
                                   to_test ? test_stack_size : KERNEL_STACK_SIZE);
    __real_switch_context(save, load);
    __sanitizer_finish_switch_fiber(fake, &from, &from_size);
}

// What a fresh stack begins with; it lies at the other end of the stack's first page.
struct beginning {
    void (*entry)(void *argument);
    void *argument;
};

static void begin(void *argument)
{
    const struct beginning *beginning = argument;
    const void *from;
    size_t from_size;

    __sanitizer_finish_switch_fiber(NULL, &from, &from_size);
    if (test_stack == NULL) { // the first switch comes from the test
        test_stack = from;
        test_stack_size = from_size;
    }
    beginning->entry(beginning->argument);
}

uint64_t __wrap_context_prepare(uint64_t start, void (*entry)(void *), void *argument)
{
    struct beginning *beginning = (struct beginning *)(uintptr_t)(start & ~PAGE_MASK);

    *beginning = (struct beginning){entry, argument};
    return __real_context_prepare(start, begin, beginning);
}

// -- CPUs -----------------------------------------------------------------------------------------

void host_pause(void)
{
    switch_context(&cpu_contexts[host_cpu], test_context);
}

void host_run(uint32_t cpu)
{
    host_cpu = cpu;
    switch_context(&test_context, cpu_contexts[cpu]);
}

// On the stack for NMIs, which is free, function(argument) runs and gives control back.
static uint64_t caller_context;
static uint64_t called_context;
static void (*called)(void *argument);

static void call(void *argument)
{
    called(argument);
    switch_context(&called_context, caller_context);
}

void host_on_cpu(uint32_t cpu, void (*function)(void *argument), void *argument)
{
    uint64_t stack = stack_slot_address(cpu * STACK_SLOTS_PER_CPU + IST_NMI);
    uint32_t sender = host_cpu;
    uint64_t outer = caller_context; // where `function` is called by another one

    host_cpu = cpu;
    called = function;
    __asan_unpoison_memory_region((void *)(uintptr_t)stack, KERNEL_STACK_SIZE); // what ended there
    kernel_stack_top_of(stack)->cpu = cpu_of(cpu);
    switch_context(&caller_context, context_prepare(kernel_stack_start(stack), call, argument));
    caller_context = outer;
    host_cpu = sender;
}

void host_leave(void)
{
    switch_context(&called_context, caller_context);
    lockstep_fail("a CPU that has stopped runs on");
}

static void answer(void *argument)
{
    (void)argument;
    shootdown_answer();
}

__attribute__((weak)) void host_nmi_sent(uint32_t apic_id)
{
    host_on_cpu(apic_id, answer, NULL);
}

void local_apic_send(uint32_t apic_id, uint32_t command)
{
    if (command == LOCAL_APIC_NMI) {
        host_nmi_sent(apic_id);
    } else {
        lockstep_equal("vector of an IPI", command, INTERRUPT_WAKE);
        interrupted |= 1ull << apic_id;
    }
}

uint32_t processor_count(void)
{
    return cpu_count;
}

uint64_t host_interrupted(void)
{
    uint64_t cpus = interrupted;

    interrupted = 0;
    return cpus;
}

static void arm_timer(uint64_t tsc)
{
    (void)tsc;
}

static void idle(void *argument)
{
    struct cpu *cpu = argument;

    mode_start(cpu);
    scheduler_start_cpu(cpu);
    scheduler_idle();
}

static void map_cpu(uint32_t id)
{
    struct cpu *cpu = cpu_of(id);

    map_memory((uint64_t)(uintptr_t)cpu & ~PAGE_MASK, 2 * PAGE_SIZE, -1, 0);
    for (uint32_t ist = IST_NONE; ist < IST_COUNT; ist++) {
        map_memory(stack_slot_address(id * STACK_SLOTS_PER_CPU + ist), KERNEL_STACK_SIZE, -1, 0);
    }
    cpu->id = id;
    cpu->apic_id = id;
    kernel_stack_top_of(stack_slot_address(id * STACK_SLOTS_PER_CPU))->cpu = cpu;
}

static void start_cpu(uint32_t id)
{
    host_processors[id].registers[HOST_CR0] = CR0_PG | CR0_PE;
    host_processors[id].registers[HOST_CR3] = space.root.value;
    cpu_contexts[id] = context_prepare(cpu_boot_stack(id), idle, cpu_of(id));
    host_run(id);
}

static void start_memory(void *unused)
{
    static const struct page_range usable = {PAGE_SIZE, HOST_RAM};
    struct page_source source = memory_page_source(PAGE_OWNER_KERNEL);

    (void)unused;
    if (page_allocator_init(&kernel_pages, &usable, 1, memory_pointer(hpa(0))) != STATUS_OK ||
        page_table_create(&space, PAGE_FORMAT_HOST, PAGE_LEVEL_2M, DIRECT_MAP_BASE, 1ull << 40,
                          &source) != STATUS_OK) {
        lockstep_fail("no machine");
    }
    container_tree_init(&kernel_containers, page_free_count(&kernel_pages), SPEC_CONTAINERS);
}

void host_machine_start(uint32_t cpus)
{
    host_hooks.wait_for_interrupt = host_pause;
    ram = memfd_create("ram", 0);
    if (ram < 0 || ftruncate(ram, (off_t)HOST_RAM) != 0) {
        lockstep_fail("no file for the machine's RAM");
    }
    map_memory(DIRECT_MAP_BASE, HOST_RAM, ram, 0);
    for (uint32_t i = 0; i < cpus; i++) {
        map_cpu(i);
    }
    host_on_cpu(0, start_memory, NULL);
    scheduler_init(100, arm_timer);
    cpu_count = cpus;
    for (uint32_t i = 0; i < cpus; i++) {
        start_cpu(i);
    }
}

// -- what the kernel calls outside -----

bool host_panics(void (*function)(void *argument), void *argument)
{
    jmp_buf here;
    bool panicked = true;

    panic_return = &here;
    if (setjmp(here) == 0) {
        function(argument);
        panicked = false;
    }
    panic_return = NULL;
    return panicked;
}

void panic(const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (panic_return != NULL) {
        longjmp(*panic_return, 1);
    }
    lockstep_fail("the kernel panicked: %s", text);
}

__attribute__((weak)) void log_line(enum log_level level, const char *format, ...)
{
    (void)level;
    (void)format;
}

uint64_t fpu_mask(void)
{
    return 0;
}

void fpu_area_initialize(void *area, uint16_t fcw)
{
    memcpy(area, &fcw, sizeof(fcw));
}

void fpu_claim(void *area)
{
    this_cpu()->fpu_owner = area;
    task_switched_clear();
}

void fpu_release(void *area)
{
    (void)area;
}

void fpu_guard(void)
{
    task_switched_set();
}

// Weak: a test of VMs, or of the log, has the kernel's own.
__attribute__((weak)) void vm_drop_translations(void)
{
}

__attribute__((weak)) void vcpu_thread_ended(struct vcpu *vcpu)
{
    (void)vcpu;
}
