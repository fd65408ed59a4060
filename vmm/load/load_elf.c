// SPDX-License-Identifier: MIT
// 64-bit ELF kernels: a Linux vmlinux, or a plain kernel that knows nothing of Linux. Both are
// entered in 64-bit mode as "64-bit Boot Protocol" describes, with RSI = boot_params.
#include "vmm/load/loaders.h"
#include "kernel/lib/format.h"
#include "vmm/load/boot_params.h"
#include "vmm/load/elf_image.h"

#define LOWEST_ADDRESS     0x100000ull // below lie the structures handed over
#define COMMAND_LINE_LIMIT 2047u       // what x86 Linux takes; a vmlinux does not say

enum status load_elf_image(const struct load_job *job, const struct load_image *image,
                           const uint8_t *setup, uint64_t highest, struct load_entry *entry)
{
    struct load_range allowed = {LOWEST_ADDRESS, highest};
    struct elf_image elf;
    struct boot_plan plan = {.setup = setup,
                             .initrd_last = BOOT_INITRD_MAX_DEFAULT,
                             .command_line_limit = COMMAND_LINE_LIMIT,
                             .initrd_above_4g = true};

    if (setup != NULL) {
        plan.initrd_last = get32(setup + BOOT_INITRD_ADDR_MAX);
        plan.command_line_limit = get32(setup + BOOT_CMDLINE_SIZE);
        plan.initrd_above_4g = (get16(setup + BOOT_XLOADFLAGS) & BOOT_XLOAD_ABOVE_4G) != 0;
    }
    enum status status = elf_open(job, image, allowed, &elf);
    if (status != STATUS_OK) {
        return status;
    }
    status = elf_entry(job, &elf, &plan.entry);
    if (status != STATUS_OK) {
        return status;
    }
    plan.kernel = elf_extent(&elf);
    status = boot_params_check(job, &plan);
    if (status != STATUS_OK) {
        return status;
    }
    elf_place(job, &elf);
    boot_params_commit(job, &plan, entry);
    entry->type = setup != NULL ? LOAD_LINUX : LOAD_ELF;
    format_text(entry->summary, sizeof(entry->summary),
                "%s at 0x%llx to 0x%llx, entered at 0x%llx in 64-bit mode",
                setup != NULL ? "vmlinux unpacked from the bzImage" : "ELF64 kernel",
                (unsigned long long)plan.kernel.start, (unsigned long long)plan.kernel.end,
                (unsigned long long)plan.entry);
    return STATUS_OK;
}

enum status load_elf(const struct load_job *job, struct load_entry *entry)
{
    const struct load_image *kernel = &job->request->kernel;

    if (!elf_is64(kernel->bytes, kernel->size)) {
        return load_refuse(job, STATUS_MALFORMED, kernel->file,
                           "ELF magic and class: found %s, expected a 64-bit ELF executable; "
                           "choose another kernel type",
                           elf_is32(kernel->bytes, kernel->size) ? "a 32-bit ELF file"
                                                                 : "something else");
    }
    return load_elf_image(job, kernel, NULL, job->low_end, entry);
}
