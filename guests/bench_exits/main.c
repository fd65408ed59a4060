// SPDX-License-Identifier: MIT
// Measures what operations cost that leave the guest. Prints a line for each, `name ticks` with the
// median of ITERATIONS runs in time-stamp counter ticks, the two counter reads included (what
// `empty` shows), or `name skipped` where the machine refuses the operation; then powers off.
// "iterations=N" on the command line changes the number.
#include "guests/bench_exits/apic.h"
#include "guests/library/traps.h"

#define ITERATIONS_DEFAULT 1000u
#define ITERATIONS_MAXIMUM 20000u

#define MSR_MISC_ENABLE "0x1a0"
#define PIC_DATA        "0x21"
#define PIT_CHANNEL_0   "0x40"
#define DIAGNOSTIC_PORT "0x80"
#define UART_SCRATCH    "0x3ff"
#define ABSENT_MEMORY   "0xf0000000"
#define FRESH_MEMORY    0x2000000u

// Defines a function that measures `operation` once, prepared by `setup`. Both may change RAX, RBX,
// RCX, RDX and RDI. A refused operation continues at label 9; then the result means nothing.
#define MEASURE(name, setup, operation)                                                            \
    static uint32_t measure_##name(void)                                                           \
    {                                                                                              \
        uint32_t ticks;                                                                            \
        __asm__ volatile("lea 9f(%%rip), %%rax\n\t"                                                \
                         "mov %%rax, trap_resume(%%rip)\n\t"                                       \
                         "mov %%rsp, trap_stack(%%rip)\n\t" setup "\n\t"                           \
                         "rdtsc\n\t"                                                               \
                         "mov %%eax, %%esi\n\t" operation "\n\t"                                   \
                         "rdtsc\n\t"                                                               \
                         "sub %%esi, %%eax\n"                                                      \
                         "9:\n\t"                                                                  \
                         "movq $0, trap_resume(%%rip)"                                             \
                         : "=&a"(ticks)                                                            \
                         :                                                                         \
                         : "rbx", "rcx", "rdx", "rsi", "rdi", "memory", "cc");                     \
        return ticks;                                                                              \
    }

MEASURE(empty, "", "")
MEASURE(cpuid, "", "xor %%eax, %%eax; cpuid")
MEASURE(vmcall, "", "xor %%eax, %%eax; vmcall")
MEASURE(rdmsr, "mov $" MSR_MISC_ENABLE ", %%ecx", "rdmsr")
// RDTSC would overwrite the value to write in EDX:EAX: it waits in RBX and RDI.
MEASURE(wrmsr, "mov $" MSR_MISC_ENABLE ", %%ecx; rdmsr; mov %%eax, %%ebx; mov %%edx, %%edi",
        "mov %%ebx, %%eax; mov %%edi, %%edx; wrmsr")
MEASURE(in_pic, "", "inb $" PIC_DATA ", %%al")
MEASURE(in_pit, "", "inb $" PIT_CHANNEL_0 ", %%al")
MEASURE(out_diagnostic, "", "outb %%al, $" DIAGNOSTIC_PORT)
// RDTSC overwrites EDX, so the port number is loaded inside: one tick more.
MEASURE(out_device, "", "mov $" UART_SCRATCH ", %%edx; outb %%al, %%dx")
MEASURE(mmio_read, "mov $" ABSENT_MEMORY ", %%edi", "mov (%%rdi), %%ebx")
MEASURE(mmio_write, "mov $" ABSENT_MEMORY ", %%edi", "mov %%ebx, (%%rdi)")

// The first write to a page that nobody has touched.
static uint32_t measure_first_touch(void)
{
    static uintptr_t page = FRESH_MEMORY;
    uint32_t ticks;

    page += 4096;
    __asm__ volatile("rdtsc\n\t"
                     "mov %%eax, %%esi\n\t"
                     "mov %%ebx, (%%rdi)\n\t"
                     "rdtsc\n\t"
                     "sub %%esi, %%eax"
                     : "=&a"(ticks)
                     : "D"(page), "b"(1)
                     : "rdx", "rsi", "memory", "cc");
    return ticks;
}

struct row {
    const char *name;
    uint32_t (*measure)(void);
};

static const struct row rows[] = {
    {"empty", measure_empty},           {"cpuid", measure_cpuid},
    {"vmcall", measure_vmcall},         {"rdmsr", measure_rdmsr},
    {"wrmsr", measure_wrmsr},           {"in_pic", measure_in_pic},
    {"in_pit", measure_in_pit},         {"out_diagnostic", measure_out_diagnostic},
    {"out_device", measure_out_device}, {"mmio_read", measure_mmio_read},
    {"mmio_write", measure_mmio_write}, {"first_touch", measure_first_touch},
};

static const struct row apic_rows[] = {
    {"x2apic_eoi", measure_x2apic_eoi},
    {"x2apic_self_ipi", measure_x2apic_self_ipi},
    {"tsc_deadline", measure_tsc_deadline},
    {"halt_wake", measure_halt_wake},
};

static uint32_t samples[ITERATIONS_MAXIMUM];

// Shell sort: short, in place, and quick enough for the few thousand samples.
static void sort_samples(uint32_t count)
{
    for (uint32_t gap = count / 2; gap > 0; gap /= 2) {
        for (uint32_t i = gap; i < count; i++) {
            uint32_t value = samples[i];
            uint32_t at = i;

            while (at >= gap && samples[at - gap] > value) {
                samples[at] = samples[at - gap];
                at -= gap;
            }
            samples[at] = value;
        }
    }
}

static void run_row(const struct row *row, uint32_t iterations)
{
    print_text(row->name);
    for (uint32_t i = 0; i < iterations; i++) {
        samples[i] = row->measure();
        if (trap_taken() != TRAP_NONE) {
            print_text(" skipped\n");
            return;
        }
    }
    sort_samples(iterations);
    print_text(" ");
    print_decimal(samples[iterations / 2]);
    print_text("\n");
}

void guest_main(uint32_t magic, uintptr_t address)
{
    const struct multiboot_info *information = (const void *)address;
    uint32_t iterations = ITERATIONS_DEFAULT;

    if (magic == MULTIBOOT_BOOTLOADER_MAGIC) {
        find_option((const char *)(uintptr_t)information->command_line, "iterations", &iterations);
    }
    if (iterations == 0 || iterations > ITERATIONS_MAXIMUM) {
        iterations = ITERATIONS_DEFAULT;
    }
    traps_install();
    bool has_apic = apic_start();
    for (unsigned i = 0; i < ARRAY_COUNT(rows); i++) {
        run_row(&rows[i], iterations);
    }
    for (unsigned i = 0; has_apic && i < ARRAY_COUNT(apic_rows); i++) {
        run_row(&apic_rows[i], iterations);
    }
    power_off();
}
