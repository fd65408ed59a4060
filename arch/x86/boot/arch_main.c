// SPDX-License-Identifier: MIT
// The first C code: from the boot loader's information to kernel_main on the boot CPU's own stack,
// with the kernel's address space, segments and IDT in force. Runs once, on one CPU.
#include "arch/x86/boot/arch_main.h"
#include "arch/x86/boot/boot_information.h"
#include "arch/x86/boot/early_pages.h"
#include "arch/x86/boot/image.h"
#include "arch/x86/boot/memory_map.h"
#include "arch/x86/boot/multiboot2.h"
#include "arch/x86/cpu/context.h"
#include "arch/x86/cpu/cpu.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/fpu.h"
#include "arch/x86/cpu/idt.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/cpu/trap.h"
#include "arch/x86/paging/kernel_space.h"
#include "arch/x86/paging/kernel_space_build.h"

// Nothing bounds the loader's information but its own length field; this is what we accept.
#define INFORMATION_MAXIMUM (1u << 20)

static struct boot_information information;

static void demand(bool condition, const char *reason)
{
    if (!condition) {
        kernel_cannot_start(reason);
    }
}

static void check_processor(void)
{
    const struct cpu_features *features = cpu_features();
    demand(features->nx, "the processor cannot mark pages not executable (NX is off or absent).");
    demand(features->apic, "the processor has no local APIC.");
}

static void read_loader_information(uint32_t magic, uint64_t address)
{
    demand(magic == MULTIBOOT2_MAGIC, "the boot loader is not a multiboot2 loader.");
    enum status status =
        multiboot2_parse(direct_map(hpa(address)), INFORMATION_MAXIMUM, &information);
    demand(status != STATUS_NOT_FOUND, "the boot loader gave no memory map.");
    demand(status != STATUS_NO_MEMORY, "there are too many boot modules or memory regions, or a "
                                       "module's line is too long.");
    demand(status == STATUS_OK, "the boot loader's information is malformed.");
    status = memory_map_add_bytes(&information, image_physical(image_start).value,
                                  (uint64_t)image_end - (uint64_t)image_start, BOOT_MEMORY_KERNEL);
    demand(status == STATUS_OK, "the memory map has too many regions.");
}

static void enter_kernel(void *argument)
{
    cpu_initialize(argument);
    idt_use_stacks();
    kernel_main(&information);
}

NORETURN void arch_main(uint32_t magic, uint64_t address)
{
    idt_build();
    idt_load();
    cpu_features_discover();
    check_processor();
    fpu_discover();
    read_loader_information(magic, address);

    demand(early_pages_start(&information) == STATUS_OK, "there is no free memory below 4 GiB.");
    const struct page_source *source = &early_page_source;
    demand(kernel_space_build(&information, source) == STATUS_OK &&
               kernel_space_map_cpu(0, source) == STATUS_OK &&
               early_pages_finish(&information) == STATUS_OK,
           "there is too little memory for the page tables.");
    msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_NXE);
    cr3_write(kernel_space()->root.value);

    struct cpu *cpu = cpu_prepare(0);
    uint64_t boot_context;
    switch_context(&boot_context,
                   context_prepare(kernel_stack_start(stack_slot_address(0)), enter_kernel, cpu));
    __builtin_unreachable();
}
