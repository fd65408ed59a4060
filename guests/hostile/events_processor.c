// SPDX-License-Identifier: MIT
// Events at the processor itself: MSRs, CPUID, control and debug registers, VMX instructions,
// segments, descriptor tables, page tables.
#include "kernel/lib/processor.h"
#include "guests/hostile/hostile.h"
#include "guests/library/machine.h"
#include "guests/library/guest.h"

#define MSR_ICR     0x830u
#define CR0_PE_PG   0x80000001ull
#define GARBAGE_GDT 16u // descriptors

static uint32_t random_msr(void)
{
    static const uint32_t known[] = {
        0x10,       0x1b,       0x3a,       0x3b,       0x8b,       0xc1,       0xce,
        0xfe,       0x174,      0x175,      0x176,      0x179,      0x17a,      0x186,
        0x19a,      0x1a0,      0x1d9,      0x200,      0x201,      0x20f,      0x250,
        0x277,      0x2ff,      0x345,      0x38f,      0x480,      0x48f,      0x570,
        0x6e0,      0x802,      0x808,      0x80b,      0x80f,      0x828,      0x838,
        0x83f,      0xda0,      0xc0000080, 0xc0000081, 0xc0000082, 0xc0000084, 0xc0000100,
        0xc0000102, 0xc0000103, 0x40000000, 0xc0010015,
    };

    switch (random_below(4)) {
    case 0:
        return (uint32_t)random_wild();
    case 1:
        return (random_next() & 1 ? 0xc0000000u : 0) + random_below(0x2000);
    default:
        return known[random_below(ARRAY_COUNT(known))];
    }
}

void event_msr(void)
{
    uint32_t index = random_msr();

    if (random_below(2)) {
        (void)msr_read(index);
    } else if (index != MSR_ICR) {
        msr_write(index, random_wild());
    }
}

void event_cpuid(void)
{
    static const uint32_t bases[] = {0, 0, 0, 0x40000000, 0x80000000, 0x20000000, 0xfffffff0};
    uint32_t eax = bases[random_below(ARRAY_COUNT(bases))] + random_below(0x30);
    uint32_t ecx = random_below(3) ? random_below(8) : (uint32_t)random_next();
    uint32_t ebx;
    uint32_t edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
}

void event_vmcall(void)
{
    register uint64_t r8 __asm__("r8") = random_wild();
    register uint64_t r9 __asm__("r9") = random_wild();
    uint64_t a = random_wild();
    uint64_t b = random_wild();
    uint64_t c = random_wild();
    uint64_t d = random_wild();

    if (random_below(2)) {
        __asm__ volatile("vmcall" : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+r"(r8), "+r"(r9));
    } else {
        __asm__ volatile("vmmcall" : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+r"(r8), "+r"(r9));
    }
}

void event_vmx(void)
{
    uint64_t operand[2] = {random_wild(), random_wild()};
    uint64_t value = random_wild();

    switch (random_below(12)) {
    case 0:
        __asm__ volatile("vmxon %0" : : "m"(operand[0]));
        break;
    case 1:
        __asm__ volatile("vmclear %0" : : "m"(operand[0]));
        break;
    case 2:
        __asm__ volatile("vmptrld %0" : : "m"(operand[0]));
        break;
    case 3:
        __asm__ volatile("vmread %1, %0" : "=m"(operand[0]) : "r"(value));
        break;
    case 4:
        __asm__ volatile("vmwrite %1, %0" : : "r"(value), "m"(operand[0]));
        break;
    case 5:
        __asm__ volatile("vmlaunch");
        break;
    case 6:
        __asm__ volatile("vmxoff");
        break;
    case 7:
        __asm__ volatile("invept %0, %1" : : "m"(operand), "r"(value));
        break;
    case 8:
        __asm__ volatile("vmfunc" : : "a"((uint32_t)value), "c"((uint32_t)operand[0]));
        break;
    case 9:
        __asm__ volatile("rdpmc" : : "c"((uint32_t)value) : "eax", "edx");
        break;
    case 10:
        __asm__ volatile("xsetbv"
                         :
                         : "c"((uint32_t)(value & 1)), "a"((uint32_t)operand[0]), "d"(0));
        break;
    default:
        __asm__ volatile("invpcid %0, %1" : : "m"(operand), "r"(value & 7));
        break;
    }
}

// Paging and protection stay on: without them there is no net.
void event_control_register(void)
{
    uint64_t value = random_wild();

    switch (random_below(8)) {
    case 0:
        cr0_write(value | CR0_PE_PG);
        break;
    case 1:
        cr4_write(value | CR4_PAE);
        break;
    case 2:
        cr4_write((cr4_read() ^ 1ull << random_below(24)) | CR4_PAE);
        break;
    case 3:
        cr8_write(value);
        break;
    case 4:
        __asm__ volatile("lmsw %w0" : : "r"((uint32_t)value));
        break;
    case 5:
        __asm__ volatile("clts");
        break;
    case 6:
        __asm__ volatile("wbinvd");
        break;
    default:
        cr3_write(cr3_read());
        break;
    }
}

void event_debug_register(void)
{
    uint64_t address = random_below(2) ? random_wild() : (uintptr_t)&event_debug_register;

    switch (random_below(6)) {
    case 0:
        dr0_write(address);
        break;
    case 1:
        dr1_write(address);
        break;
    case 2:
        dr6_write(random_wild());
        break;
    case 3:
        dr7_write(random_wild());
        dr2_write((uintptr_t)window_page(WINDOW_DATA)); // #DB where general detection is on
        *window_page(WINDOW_DATA) = 1;
        break;
    case 4:
        (void)(dr6_read() + dr7_read());
        break;
    default: // single steps over instructions that exit
        __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; cpuid; in $0x80, %%al; nop"
                         :
                         :
                         : "rax", "rbx", "rcx", "rdx", "memory");
        break;
    }
}

// A selector of any value; the descriptor it names is of any content. False where nothing more may
// be tried before the repair: after LTR, since exceptions find their stacks through TR, and after
// LLDT, since the table may be where no memory is, and the monitor does not load descriptors from
// there.
static bool load_segment(uint16_t selector)
{
    switch (random_below(7)) {
    case 0:
        __asm__ volatile("mov %0, %%ds; movb %%ds:0x200000, %%al" : : "r"(selector) : "al");
        break;
    case 1:
        __asm__ volatile("mov %0, %%es" : : "r"(selector));
        break;
    case 2:
        __asm__ volatile("mov %0, %%fs; movb %%fs:0, %%al" : : "r"(selector) : "al");
        break;
    case 3:
        __asm__ volatile("mov %0, %%gs; movb %%gs:0, %%al" : : "r"(selector) : "al");
        break;
    case 4:
        __asm__ volatile("lldt %0" : : "r"(selector));
        return false;
    case 5:
        __asm__ volatile("verr %0; lar %0, %%eax; lsl %0, %%eax" : : "r"(selector) : "eax");
        break;
    default:
        __asm__ volatile("cli; ltr %0" : : "r"(selector));
        return false;
    }
    return true;
}

void event_segment(void)
{
    (void)load_segment((uint16_t)random_wild());
}

// The kernel's own code segment stays where the vectors look for it.
void event_descriptor_table(void)
{
    static uint64_t garbage[GARBAGE_GDT];
    const struct table_register gdtr = {(uint16_t)(random_below(sizeof(garbage)) | 0xf),
                                        (uintptr_t)garbage};

    for (unsigned i = 2; i < GARBAGE_GDT; i++) {
        garbage[i] = random_wild();
    }
    garbage[1] = 0x00af9b000000ffff;
    __asm__ volatile("lgdt %0" : : "m"(gdtr));
    for (unsigned i = 0; i < 4; i++) {
        if (!load_segment((uint16_t)(random_below(2 * GARBAGE_GDT) * 4 + random_below(8)))) {
            return;
        }
    }
}

// An entry of any content: reserved bits, no-execute, addresses without memory.
void event_page_table(void)
{
    uint64_t entry = random_wild();
    volatile uint8_t *place = window_page(WINDOW_WILD) + random_below(PAGE_BYTES);

    if ((entry & 0x000fffffffe00000ull) < machine_ram) {
        entry |= 1ull << 38; // not among what the guest lives on
    }
    window_map(WINDOW_WILD, entry | 1);
    if (random_below(2)) {
        (void)*place;
    } else {
        *place = (uint8_t)random_next();
    }
}
