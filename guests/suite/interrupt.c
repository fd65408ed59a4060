// SPDX-License-Identifier: MIT
// External interrupts: when they come ("Masking Maskable Hardware Interrupts", "Masking Exceptions
// and Interrupts When Switching Stacks", STI, HLT), also right after instructions that a hypervisor
// finishes. The timer at the first line of the interrupt controller makes them.
#include "guests/library/machine.h"
#include "guests/library/suite.h"
#include "guests/library/traps.h"
#include "guests/suite/suite_subjects.h"

#define PIC        0x20
#define PIC_MASK   0x21
#define PIC2       0xa0
#define PIC2_MASK  0xa1
#define PIC_EOI    0x20
#define PIC_READ   0x0a // the request register
#define TIMER      0x40
#define TIMER_MODE 0x43

static volatile uint64_t interrupts, interrupt_rip;

static void take_interrupt(struct trap_frame *frame)
{
    interrupts++;
    interrupt_rip = frame->rip;
    port_out8(PIC, PIC_EOI);
}

static void set_up_controller(void)
{
    port_out8(PIC, 0x11);
    port_out8(PIC_MASK, VECTOR_IRQ);
    port_out8(PIC_MASK, 4);
    port_out8(PIC_MASK, 1);
    port_out8(PIC2, 0x11);
    port_out8(PIC2_MASK, VECTOR_IRQ + 8);
    port_out8(PIC2_MASK, 2);
    port_out8(PIC2_MASK, 1);
    port_out8(PIC_MASK, 0xfe);
    port_out8(PIC2_MASK, 0xff);
}

// The timer's interrupt is requested in `count` of its ticks.
static void start_timer(uint16_t count)
{
    port_out8(TIMER_MODE, 0x30); // channel 0, both bytes, interrupt on terminal count
    port_out8(TIMER, (uint8_t)count);
    port_out8(TIMER, (uint8_t)(count >> 8));
}

// Interrupts off: returns with the request pending.
static void make_pending(void)
{
    start_timer(20);
    for (unsigned i = 0; i < 1000000; i++) {
        port_out8(PIC, PIC_READ);
        if ((port_in8(PIC) & 1) != 0) {
            return;
        }
    }
    check("the timer's request", 0, 1);
}

// `text` up to its label 1 runs with an interrupt pending from the start; the interrupt must come
// at label 1.
#define COMES_AT(name, text)                                                                       \
    do {                                                                                           \
        uint64_t wanted_;                                                                          \
        make_pending();                                                                            \
        interrupts = interrupt_rip = 0;                                                            \
        __asm__ volatile("mov $1f, %%rdi\n\t" text "\n\tnop; nop; nop; cli"                        \
                         : "=D"(wanted_)                                                           \
                         :                                                                         \
                         : "rax", "rbx", "rcx", "rdx", "memory", "cc");                            \
        check(name, interrupt_rip, wanted_);                                                       \
    } while (0)

static void check_shadows(void)
{
    COMES_AT("sti delays it by one instruction", "sti; nop; 1:");
    COMES_AT("popf does not delay it", "pushfq; orl $0x200, (%%rsp); popfq; 1:");
    COMES_AT("sti, cpuid", "xor %%eax, %%eax; sti; cpuid; 1:");
    COMES_AT("sti, rdmsr", "mov $0x1b, %%ecx; sti; rdmsr; 1:");
    COMES_AT("sti, in", "sti; in $0x21, %%al; 1:");
    COMES_AT("sti, out", "mov $0xfe, %%al; sti; out %%al, $0x21; 1:");
    COMES_AT("sti, in from nothing", "mov $0x5555, %%edx; sti; inl %%dx, %%eax; 1:");
    COMES_AT("sti, a read of a device", "mov $0xf0000000, %%ecx; sti; mov (%%rcx), %%eax; 1:");
    COMES_AT("sti, mov to cr0", "mov %%cr0, %%rax; sti; mov %%rax, %%cr0; 1:");
    COMES_AT("sti, mov to cr8", "xor %%eax, %%eax; sti; mov %%rax, %%cr8; 1:");
    COMES_AT("sti, wbinvd", "sti; wbinvd; 1:");
    COMES_AT("sti, hlt", "sti; hlt; 1:");
    COMES_AT("mov ss delays it", "mov %%ss, %%eax; pushfq; orl $0x200, (%%rsp); popfq; 1:"
                                 "mov %%eax, %%ss; nop");
}

static void check_masked(void)
{
    make_pending();
    interrupts = 0;
    __asm__ volatile("sti; cli; nop; nop" : : : "memory");
    check("sti, cli lets none in", interrupts, 0);
    __asm__ volatile("sti; mov %0, %%ecx; 1: loop 1b; cli" : : "i"(100) : "rcx", "memory");
    check("and it is not lost", interrupts, 1);
}

static void check_halt(void)
{
    interrupts = 0;
    start_timer(3000);
    __asm__ volatile("sti; hlt; cli" : : : "memory");
    check("hlt ends with the interrupt", interrupts, 1);
    interrupts = 0;
    start_timer(2000);
    for (unsigned i = 0; i < 100000000 && *(volatile uint64_t *)&interrupts == 0; i++) {
        __asm__ volatile("sti; nop; cli" : : : "memory");
    }
    check("an interrupt while the processor is busy", interrupts, 1);
}

// "Error Code": EXT is set, since the interrupt is external to the program.
static void check_missing_gate(void)
{
    make_pending();
    trap_gates[VECTOR_IRQ].attributes &= (uint16_t)~GATE_PRESENT;
    check("interrupt, gate not present", TRY("sti; nop; nop; nop", : : : "memory"), VECTOR_NP);
    __asm__ volatile("cli");
    check("interrupt, gate not present, error code", trap_last.error_code, VECTOR_IRQ * 8 + 3);
    trap_gates[VECTOR_IRQ].attributes |= GATE_PRESENT;
    port_out8(PIC, PIC_EOI);
}

void subject_interrupt(void)
{
    set_up_controller();
    trap_set_hook(VECTOR_IRQ, take_interrupt);
    check_shadows();
    check_masked();
    check_halt();
    check_missing_gate();
    trap_set_hook(VECTOR_IRQ, 0);
    port_out8(PIC_MASK, 0xff);
}
