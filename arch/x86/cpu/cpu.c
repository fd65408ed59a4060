// SPDX-License-Identifier: MIT
// Brings one CPU into its running state; see cpu.h. Runs once on each CPU.
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/fpu.h"
#include "arch/x86/cpu/idt.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/paging/layout.h"
#include "kernel/lib/string.h"

#define CPU_DESCRIPTORS 9 // the TSS takes two

void segments_load(const void *pointer, uint64_t tss_selector); // segments.asm
extern char system_call_entry[];                                // system_call.asm

// "Segment Descriptors": accessed already, so that the processor never writes here but for the TSS.
static const uint64_t descriptors[CPU_DESCRIPTORS] = {
    [SELECTOR_KERNEL_CODE / 8] = 0x00af9b000000ffff,
    [SELECTOR_KERNEL_DATA / 8] = 0x00cf93000000ffff,
    [SELECTOR_USER_CODE / 8] = 0x00affb000000ffff,
    [SELECTOR_USER_DATA / 8] = 0x00cff3000000ffff,
};

static void build_gdt(struct cpu *cpu)
{
    uint64_t tss = (uint64_t)&cpu->tss;
    for (unsigned i = 0; i < CPU_DESCRIPTORS; i++) {
        cpu->gdt[i] = descriptors[i];
    }
    cpu->gdt[SELECTOR_TSS / 8] =
        (sizeof cpu->tss - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
    cpu->gdt[SELECTOR_TSS / 8 + 1] = tss >> 32;
}

static void build_tss(struct cpu *cpu)
{
    uint32_t slot = cpu->id * STACK_SLOTS_PER_CPU;
    cpu->tss = (struct task_state){.io_map_base = sizeof cpu->tss}; // no port for ring 3
    cpu->tss.rsp[0] = kernel_stack_start(stack_slot_address(slot));
    for (uint32_t ist = IST_NMI; ist < IST_COUNT; ist++) {
        uint64_t start = kernel_stack_start(stack_slot_address(slot + ist));
        *kernel_stack_top_of(start) = (struct kernel_stack_top){cpu, NULL};
        cpu->tss.ist[ist - 1] = start;
    }
}

struct cpu *cpu_prepare(uint32_t id)
{
    struct cpu *cpu = cpu_of(id);
    uint64_t *gdt = (uint64_t *)(CPU_AREA_BASE + id * CPU_SLOT_SIZE);

    memset(gdt, 0, PAGE_SIZE);
    memset(cpu, 0, sizeof *cpu);
    cpu->id = id;
    cpu->gdt = gdt;
    *kernel_stack_top_of(cpu_boot_stack(id)) = (struct kernel_stack_top){cpu, NULL};
    return cpu;
}

static void set_control_registers(void)
{
    const struct cpu_features *features = cpu_features();
    uint64_t cr4 = CR4_PAE | CR4_MCE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    cr4 |= features->smep ? CR4_SMEP : 0;
    cr4 |= features->smap ? CR4_SMAP : 0;
    cr4 |= features->umip ? CR4_UMIP : 0;
    cr4 |= features->xsave ? CR4_OSXSAVE : 0;
    cr4_write(cr4);
    cr0_write(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
    msr_write(MSR_EFER, EFER_LME | EFER_LMA | EFER_NXE);
    msr_write(MSR_PAT, HOST_PAT);
}

static void set_system_call_entry(struct cpu *cpu)
{
    msr_write(MSR_SYSENTER_CS, SELECTOR_KERNEL_CODE);
    msr_write(MSR_SYSENTER_ESP, (uint64_t)cpu->tss.rsp);
    msr_write(MSR_SYSENTER_EIP, (uint64_t)system_call_entry);
}

void cpu_initialize(struct cpu *cpu)
{
    set_control_registers();
    build_tss(cpu);
    build_gdt(cpu);
    struct table_pointer pointer = {CPU_DESCRIPTORS * 8 - 1, (uint64_t)cpu->gdt};
    segments_load(&pointer, SELECTOR_TSS);
    idt_load();
    set_system_call_entry(cpu);
    fpu_initialize_cpu();
}
