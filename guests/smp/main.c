// SPDX-License-Identifier: MIT
// Several processors: starts the others by INIT and start-up IPIs, and checks IPIs, shared
// counters, timers in each mode, the I/O APIC, the PIC through LINT0, and both faces of the local
// APIC. Prints a line for each check and the cost of the most frequent operations; powers off when
// all passed. "processors=N" on the command line says how many there are (default: what CPUID
// says).
#include "guests/library/guest.h"
#include "kernel/lib/processor.h"

#define STARTUP_ADDRESS 0x8000u
#define PROCESSORS      8u
#define VECTOR_FIRST    0x40u // four: IPI, timer, PIT, spurious
#define VECTOR_IPI      0x40u
#define VECTOR_TIMER    0x51u
#define VECTOR_PIT      0x62u
#define VECTOR_SPURIOUS 0xffu
#define ROUNDS          2000u
#define PATIENCE        200000000ull // ticks

#define X2APIC_ENABLE 0xc00u

enum apic_register {
    ID = 0x02,
    VERSION = 0x03,
    EOI = 0x0b,
    SPURIOUS = 0x0f,
    ICR = 0x30,
    ICR_HIGH = 0x31,
    LVT_TIMER = 0x32,
    LVT_LINT0 = 0x35,
    INITIAL_COUNT = 0x38,
    CURRENT_COUNT = 0x39,
    DIVIDE = 0x3e,
    SELF_IPI = 0x3f,
};

struct gate {
    uint16_t low, selector, type, high;
};

struct PACKED table_pointer {
    uint16_t limit;
    uint32_t base;
};

extern uint8_t startup_begin[], startup_end[];
extern void *const interrupt_entries[];
void load_descriptor_tables(void);
void interrupt(uint32_t number);
NORETURN void processor_main(uint32_t number);

static struct gate idt[256];
struct table_pointer idt_pointer = {sizeof(idt) - 1, 0};
uint8_t processor_stacks[(PROCESSORS + 1) * 4096] ALIGNED(4096);

static uint32_t processors;
static uint32_t started, in_x2apic, finished, counter;
static uint32_t taken[PROCESSORS][4]; // by local APIC ID and interrupt
static bool x2apic[PROCESSORS];       // by stack order: mode of the processor with this ID
static bool go;
static bool all_passed = true;

static uint32_t load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void add(uint32_t *word)
{
    __atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
}

static uint64_t read_tsc(void)
{
    return __builtin_ia32_rdtsc();
}

static uint64_t read_msr(uint32_t number)
{
    uint64_t value;

    __asm__ volatile("rdmsr" : "=A"(value) : "c"(number));
    return value;
}

static void write_msr(uint32_t number, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(number), "A"(value) : "memory");
}

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t words[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(words[0]), "=b"(words[1]), "=c"(words[2]), "=d"(words[3])
                     : "a"(leaf), "c"(subleaf));
}

static volatile uint32_t *memory_register(uint32_t reg)
{
    return (volatile uint32_t *)(uintptr_t)(0xfee00000u + 16 * reg);
}

static uint32_t initial_id(void)
{
    uint32_t words[4];

    cpuid(1, 0, words);
    return words[1] >> 24;
}

static uint32_t apic_read(uint32_t reg)
{
    if (x2apic[initial_id()]) {
        return (uint32_t)read_msr(0x800 + reg);
    }
    return *memory_register(reg);
}

static void apic_write(uint32_t reg, uint32_t value)
{
    if (x2apic[initial_id()]) {
        write_msr(0x800 + reg, value);
    } else {
        *memory_register(reg) = value;
    }
}

static void send_ipi(uint32_t destination, uint32_t low)
{
    if (x2apic[initial_id()]) {
        write_msr(0x800 + ICR, (uint64_t)destination << 32 | low);
        return;
    }
    *memory_register(ICR_HIGH) = destination << 24;
    *memory_register(ICR) = low;
}

void interrupt(uint32_t number)
{
    add(&taken[initial_id()][number]);
    if (number != 3) {
        apic_write(EOI, 0);
    }
}

static void set_gate(uint32_t vector, uint32_t number)
{
    uint32_t address = (uint32_t)(uintptr_t)interrupt_entries[number];

    idt[vector] = (struct gate){(uint16_t)address, 8, 0x8e00, (uint16_t)(address >> 16)};
}

static void check(bool passed, const char *text)
{
    all_passed &= print_result(passed, text);
}

// Waits with interrupts on until *word reaches `value`; false: it took too long.
static bool wait_for(const uint32_t *word, uint32_t value)
{
    uint64_t end = read_tsc() + PATIENCE;

    while (load(word) < value && read_tsc() < end) {
        __asm__ volatile("sti; nop; pause; cli" : : : "memory");
    }
    return load(word) == value;
}

static void delay(uint32_t ticks)
{
    uint64_t end = read_tsc() + ticks;

    while (read_tsc() < end) {
        __asm__ volatile("pause");
    }
}

static void enter_x2apic(void)
{
    write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | X2APIC_ENABLE);
    x2apic[initial_id()] = true;
}

// What each started processor does: counts with the others, then sleeps until an IPI comes.
NORETURN void processor_main(uint32_t number)
{
    (void)number;
    apic_write(SPURIOUS, 0x100 | VECTOR_SPURIOUS);
    add(&started);
    while (!__atomic_load_n(&go, __ATOMIC_SEQ_CST)) {
        __asm__ volatile("pause");
    }
    for (uint32_t i = 0; i < ROUNDS; i++) {
        add(&counter);
    }
    enter_x2apic();
    add(&in_x2apic);
    add(&finished);
    for (;;) {
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    }
}

static void check_identity(void)
{
    uint32_t words[4];

    cpuid(1, 0, words);
    check((words[3] >> 9 & 1) && (words[2] >> 21 & 1) && (words[2] >> 24 & 1),
          "cpuid shows APIC, x2APIC and TSC-deadline");
    check(words[1] >> 24 == *memory_register(ID) >> 24, "initial APIC ID");
    cpuid(0xb, 1, words);
    check(words[1] == processors, "cpuid counts the processors");
    check((*memory_register(VERSION) & 0xff) >= 0x10, "version register");
    check(read_msr(MSR_APIC_BASE) == 0xfee00900, "IA32_APIC_BASE of the boot processor");
}

static void check_pic(void)
{
    static const uint8_t words[2][4] = {{0x11, VECTOR_PIT & 0xf8, 4, 1}, {0x11, 0x70, 2, 1}};
    uint32_t before = taken[0][2];

    for (uint16_t chip = 0; chip < 2; chip++) {
        uint16_t port = chip ? 0xa0 : 0x20;

        port_out8(port, words[chip][0]);
        for (unsigned i = 1; i < 4; i++) {
            port_out8(port + 1, words[chip][i]);
        }
        port_out8(port + 1, 0xff);
    }
    set_gate(VECTOR_PIT & 0xf8, 2); // IRQ 0
    port_out8(0x43, 0x30);
    port_out8(0x40, 100);
    port_out8(0x40, 0);
    port_out8(0x21, 0xfe);
    check(wait_for(&taken[0][2], before + 1), "PIC through LINT0");
    port_out8(0x20, 0x20);
    port_out8(0x21, 0xff);
}

static void check_start_up(void)
{
    uint8_t *to = (uint8_t *)(uintptr_t)STARTUP_ADDRESS;

    for (uint32_t i = 0; i < (uint32_t)(startup_end - startup_begin); i++) {
        to[i] = startup_begin[i];
    }
    apic_write(SPURIOUS, 0x100 | VECTOR_SPURIOUS);
    send_ipi(0, 0xc4500); // INIT, all but this one
    delay(100000);
    send_ipi(0, 0xc4600 | STARTUP_ADDRESS >> 12);
    delay(20000);
    send_ipi(0, 0xc4600 | STARTUP_ADDRESS >> 12); // the second is not to start them again
    check(wait_for(&started, processors - 1), "INIT and start-up IPIs start the others");
    delay(1000000);
    check(load(&started) == processors - 1, "each starts once");
}

static void check_counting(void)
{
    __atomic_store_n(&go, true, __ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        add(&counter);
    }
    check(wait_for(&finished, processors - 1), "the others finish");
    check(load(&counter) == processors * ROUNDS, "locked additions are exact");
}

static void check_one_shot(uint32_t id)
{
    uint32_t before = taken[id][1];

    apic_write(DIVIDE, 0xb);
    apic_write(LVT_TIMER, VECTOR_TIMER);
    apic_write(INITIAL_COUNT, 100000);
    check(apic_read(CURRENT_COUNT) <= 100000, "current count");
    check(wait_for(&taken[id][1], before + 1), "one-shot timer");
    check(apic_read(CURRENT_COUNT) == 0, "it stops at zero");
}

static void check_periodic(uint32_t id)
{
    uint32_t before = taken[id][1];

    apic_write(LVT_TIMER, 1u << 17 | VECTOR_TIMER);
    apic_write(INITIAL_COUNT, 50000);
    check(wait_for(&taken[id][1], before + 5), "periodic timer");
    apic_write(INITIAL_COUNT, 0);
}

static void check_deadline(uint32_t id)
{
    uint32_t before = taken[id][1];
    uint64_t due = read_tsc() + 100000;

    apic_write(LVT_TIMER, 2u << 17 | VECTOR_TIMER);
    write_msr(MSR_TSC_DEADLINE, due);
    check(read_msr(MSR_TSC_DEADLINE) == due, "TSC deadline reads back");
    check(wait_for(&taken[id][1], before + 1) && read_tsc() >= due, "TSC-deadline timer");
    check(read_msr(MSR_TSC_DEADLINE) == 0, "it is disarmed then");
}

static void check_ipis(void)
{
    bool passed = true;

    for (uint32_t round = 1; round <= 20; round++) {
        for (uint32_t id = 1; id < processors; id++) {
            send_ipi(id, VECTOR_IPI);
            passed &= wait_for(&taken[id][0], round);
        }
    }
    check(passed, "IPIs wake each processor from HLT");
    send_ipi(0, 0xc0000 | VECTOR_IPI);
    for (uint32_t id = 1; id < processors; id++) {
        passed &= wait_for(&taken[id][0], 21);
    }
    check(passed && taken[0][0] == 0, "IPI to all but oneself");
    write_msr(0x800 + SELF_IPI, VECTOR_IPI);
    check(wait_for(&taken[0][0], 1), "IPI to oneself");
}

static void io_apic_write(uint32_t index, uint32_t value)
{
    *(volatile uint32_t *)0xfec00000 = index;
    *(volatile uint32_t *)0xfec00010 = value;
}

static void check_io_apic(void)
{
    uint32_t id = processors - 1;
    uint32_t before = taken[id][2];

    set_gate(VECTOR_PIT, 2);
    io_apic_write(0x15, id << 24);
    io_apic_write(0x14, VECTOR_PIT); // IRQ 0 is input 2
    port_out8(0x43, 0x30);
    port_out8(0x40, 100);
    port_out8(0x40, 0);
    check(wait_for(&taken[id][2], before + 1), "timer interrupt through the I/O APIC");
    io_apic_write(0x14, 1u << 16);
}

static void print_cost(const char *name, uint64_t ticks)
{
    print_text(name);
    print_text(" ");
    print_decimal((uint32_t)ticks);
    print_text("\n");
}

static void print_costs(void)
{
    uint64_t start = read_tsc();

    for (uint32_t i = 0; i < 1000; i++) {
        write_msr(0x800 + EOI, 0);
    }
    print_cost("x2apic_eoi", (uint32_t)(read_tsc() - start) / 1000);
    start = read_tsc();
    for (uint32_t i = 0; i < 1000; i++) {
        write_msr(MSR_TSC_DEADLINE, UINT64_MAX);
    }
    print_cost("tsc_deadline", (uint32_t)(read_tsc() - start) / 1000);
    write_msr(MSR_TSC_DEADLINE, 0);
    start = read_tsc();
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t before = taken[0][0];

        write_msr(0x800 + SELF_IPI, VECTOR_IPI);
        wait_for(&taken[0][0], before + 1);
    }
    print_cost("self_ipi", (uint32_t)(read_tsc() - start) / 1000);
}

static void set_up(uint32_t magic, uintptr_t information)
{
    const struct multiboot_info *info = (const void *)information;
    uint32_t words[4];

    cpuid(0xb, 1, words);
    processors = words[1];
    if (magic == MULTIBOOT_BOOTLOADER_MAGIC) {
        find_option((const char *)(uintptr_t)info->command_line, "processors", &processors);
    }
    if (processors == 0 || processors > PROCESSORS) {
        processors = 1;
    }
    set_gate(VECTOR_IPI, 0);
    set_gate(VECTOR_TIMER, 1);
    set_gate(VECTOR_SPURIOUS, 3);
    idt_pointer.base = (uint32_t)(uintptr_t)idt;
    load_descriptor_tables();
}

NORETURN void guest_main(uint32_t magic, uintptr_t information)
{
    set_up(magic, information);
    check_identity();
    check_pic();
    check_one_shot(0);
    check_periodic(0);
    check_deadline(0);
    check_start_up();
    check_counting();
    enter_x2apic();
    check(apic_read(ID) == 0 && load(&in_x2apic) == processors - 1, "x2APIC mode");
    check_one_shot(0);
    check_periodic(0);
    check_deadline(0);
    check_ipis();
    check_io_apic();
    print_costs();
    if (all_passed) {
        power_off();
    }
    test_exit(1);
}
