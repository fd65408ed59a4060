// SPDX-License-Identifier: MIT
// The net under the hostile events: descriptor tables, vectors, page tables, and what is put back
// after each event. See hostile.h.
#include "kernel/lib/processor.h"
#include "guests/hostile/hostile.h"
#include "guests/library/machine.h"
#include "guests/library/guest.h"

#define VECTORS           256u
#define VECTOR_DEBUG      1u
#define VECTOR_NMI        2u
#define VECTOR_WATCHDOG   0xf0u // of the local APIC timer
#define EXCEPTIONS        32u
#define GATE_INTERRUPT    0x8e00u
#define KERNEL_CODE       0x08u
#define KERNEL_DATA       0x10u
#define USER_CODE         0x1bu
#define USER_DATA         0x23u
#define TSS_SELECTOR      0x28u
#define STACK_BYTES       4096u
#define STORM             32u
#define USER_STEPS        6u
#define LOCAL_APIC        0xfee00000u
#define MSR_DEBUG_CONTROL 0x1d9u
#define EFER_LONG         0xd01u // SCE, LME, LMA, NXE

struct gate {
    uint16_t offset_low, selector, attributes, offset_middle;
    uint32_t offset_high, reserved;
};
static_assert(sizeof(struct gate) == 16, "gate descriptor layout");

struct PACKED task_state {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map;
};
static_assert(sizeof(struct task_state) == 104, "64-bit TSS layout");

// In trap_enter_user's order.
struct user_state {
    uint64_t gpr[15];
    uint64_t ss, rsp, rflags, cs, rip;
};

extern const uintptr_t trap_stubs[VECTORS];
uint32_t trap_attempt(void (*event)(void));
void trap_enter_user(const struct user_state *state);
bool trap_interrupt(uint64_t vector, uint64_t cs);
void trap_repair(void);

uint64_t machine_ram;
static struct gate gates[VECTORS];
static struct task_state task;
static uint64_t descriptors[16];
static uint8_t stacks[3][STACK_BYTES] __attribute__((aligned(16)));
static uint64_t window_level2[512] __attribute__((aligned(4096)));
static uint64_t window_level1[512] __attribute__((aligned(4096)));
static uint8_t window_memory[4][PAGE_BYTES] __attribute__((aligned(4096)));
static uint64_t home_cr0, home_cr3, home_cr4;
static uint32_t user_steps;
static uint32_t interrupts; // during this event

// -- randomness -------------------------------------------------------------------------------

static uint64_t random_state;

void random_seed(uint64_t seed)
{
    random_state = seed;
}

uint64_t random_next(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint64_t random_wild(void)
{
    uint64_t value = random_next();

    switch (random_below(6)) {
    case 0:
        return value >> random_below(64);
    case 1:
        return 1ull << (value & 63);
    case 2:
        return ~(value >> random_below(64));
    case 3:
        return value & 0xff;
    default:
        return value;
    }
}

uint64_t random_physical(void)
{
    static const uint64_t bases[] = {0xfee00000, 0xfec00000, 0xff000000, 0xfed00000,
                                     0xfd000000, 0xfffff000, 0xe0000000, 0xc0000000};

    switch (random_below(4)) {
    case 0:
        return (random_next() & 0xffffffffffull) | 0x200000000ull; // far above all RAM
    case 1:
        return machine_ram - (1u << 20) + (random_next() & 0xfffff);
    default:
        return bases[random_below(ARRAY_COUNT(bases))] + (random_next() & 0xfff);
    }
}

// -- putting things back ----------------------------------------------------------------------

static void load_tables(void)
{
    const struct table_register gdtr = {sizeof(descriptors) - 1, (uintptr_t)descriptors};
    const struct table_register idtr = {sizeof(gates) - 1, (uintptr_t)gates};

    __asm__ volatile("lgdt %0\n\tlidt %1" : : "m"(gdtr), "m"(idtr));
}

static void load_segments(void)
{
    __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es\n\tmov %0, %%fs\n\tmov %0, %%gs\n\t"
                     "mov %0, %%ss"
                     :
                     : "r"(KERNEL_DATA));
    descriptors[TSS_SELECTOR / 8] &= ~(2ull << 40); // not busy
    __asm__ volatile("ltr %w0\n\tlldt %w1" : : "r"(TSS_SELECTOR), "r"(0));
}

void trap_repair(void)
{
    dr7_write(0x400);
    cr0_write(home_cr0);
    cr4_write(home_cr4);
    cr3_write(home_cr3);
    load_tables();
    load_segments();
    cr8_write(0);
    msr_write(MSR_EFER, EFER_LONG);
    msr_write(MSR_APIC_BASE, LOCAL_APIC | 0x900);
    msr_write(MSR_DEBUG_CONTROL, 0);
}

uint32_t machine_try(void (*event)(void))
{
    uint32_t result;

    interrupts = 0;
    result = trap_attempt(event);

    __asm__ volatile("cli");
    if (result == 0) {
        trap_repair();
    }
    return result;
}

static void end_interrupt(uint64_t vector)
{
    *(volatile uint32_t *)(uintptr_t)(LOCAL_APIC + 0xb0) = 0;
    if (vector >= 0x20 && vector < 0x30) {
        port_out8(0xa0, 0x20);
        port_out8(0x20, 0x20);
    }
}

// A timer can be quicker than its handler: then the event is over.
static bool storms(void)
{
    if (++interrupts < STORM) {
        return false;
    }
    *(volatile uint32_t *)(uintptr_t)(LOCAL_APIC + 0x320) = 0x10000;
    port_out8(0x21, 0xff);
    port_out8(0xa1, 0xff);
    return true;
}

// The local APIC may be in x2APIC mode or gone: then there is nobody to tell.
bool trap_interrupt(uint64_t vector, uint64_t cs)
{
    bool user = (cs & 3) != 0;

    if (vector == VECTOR_DEBUG && user && user_steps > 0) {
        user_steps--;
        return false;
    }
    if (vector == VECTOR_NMI) {
        return false;
    }
    if (vector < EXCEPTIONS) {
        return true;
    }
    if ((msr_read(MSR_APIC_BASE) & 0xc00) == 0x800) {
        end_interrupt(vector);
    }
    return storms() || user || vector == VECTOR_WATCHDOG;
}

// -- set-up -----------------------------------------------------------------------------------

static void make_gates(void)
{
    for (unsigned i = 0; i < VECTORS; i++) {
        uintptr_t stub = trap_stubs[i];

        gates[i] = (struct gate){.offset_low = (uint16_t)stub,
                                 .selector = KERNEL_CODE,
                                 .attributes = GATE_INTERRUPT | (i == VECTOR_NMI ? 2 : 1),
                                 .offset_middle = (uint16_t)(stub >> 16),
                                 .offset_high = (uint32_t)((uint64_t)stub >> 32)};
    }
}

static void make_descriptors(void)
{
    uint64_t base = (uintptr_t)&task;

    descriptors[1] = 0x00af9b000000ffff;
    descriptors[2] = 0x00cf93000000ffff;
    descriptors[3] = 0x00affb000000ffff;
    descriptors[4] = 0x00cff3000000ffff;
    descriptors[5] =
        (sizeof(task) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    descriptors[6] = base >> 32;
    task.rsp[0] = (uintptr_t)stacks[2] + STACK_BYTES;
    task.ist[0] = (uintptr_t)stacks[0] + STACK_BYTES;
    task.ist[1] = (uintptr_t)stacks[1] + STACK_BYTES;
    task.io_map = sizeof(task);
}

static void make_window(void)
{
    uint64_t *level4 = (uint64_t *)(uintptr_t)cr3_read(); // identity mapped
    uint64_t *level3 = (uint64_t *)(uintptr_t)(level4[0] & ~0xfffull);

    level4[0] |= 4;
    level3[WINDOW >> 30] = (uintptr_t)window_level2 | ENTRY_MEMORY;
    window_level2[0] = (uintptr_t)window_level1 | ENTRY_MEMORY;
    for (unsigned i = 0; i < ARRAY_COUNT(window_memory); i++) {
        window_level1[WINDOW_CODE + i] = (uintptr_t)window_memory[i] | ENTRY_MEMORY;
    }
}

void window_map(unsigned number, uint64_t entry)
{
    window_level1[number] = entry;
    __asm__ volatile("invlpg %0" : : "m"(*window_page(number)) : "memory");
}

void machine_init(uint64_t ram_bytes)
{
    machine_ram = ram_bytes;
    make_gates();
    make_descriptors();
    make_window();
    home_cr0 = cr0_read();
    home_cr3 = cr3_read();
    home_cr4 = cr4_read();
    trap_repair();
    *(volatile uint32_t *)(uintptr_t)(LOCAL_APIC + 0xf0) = 0x1ff;
}

void machine_start_watchdog(void)
{
    *(volatile uint32_t *)(uintptr_t)(LOCAL_APIC + 0x320) = VECTOR_WATCHDOG; // one-shot
    *(volatile uint32_t *)(uintptr_t)(LOCAL_APIC + 0x3e0) = 0xb;
    *(volatile uint32_t *)(uintptr_t)(LOCAL_APIC + 0x380) = 20000;
}

void machine_enter_user(uint64_t rip, uint64_t rflags)
{
    struct user_state state = {.ss = USER_DATA,
                               .rsp = (uintptr_t)window_page(WINDOW_DATA) + PAGE_BYTES - 64,
                               .rflags = rflags,
                               .cs = USER_CODE,
                               .rip = rip};

    for (unsigned i = 0; i < ARRAY_COUNT(state.gpr); i++) {
        state.gpr[i] = random_below(2) ? random_wild()
                                       : (uintptr_t)window_page(WINDOW_DATA) + random_below(4096);
    }
    user_steps = USER_STEPS;
    machine_start_watchdog();
    trap_enter_user(&state);
}
