// SPDX-License-Identifier: MIT
// Flat images: copied to 0x7c00 and entered there in 16-bit real mode with DL = 0x80, as a firmware
// enters a boot sector. There is no firmware behind it: the interrupt vectors are zero.
#include "vmm/load/loaders.h"
#include "kernel/lib/format.h"
#include "vmm/load/load_entry.h"

#define SIGNATURE_OFFSET 510u
#define SIGNATURE        0xaa55u
#define BOOT_DRIVE       0x80u

bool load_is_flat(const struct load_image *kernel)
{
    return kernel->size >= SIGNATURE_OFFSET + 2 &&
           get16(kernel->bytes + SIGNATURE_OFFSET) == SIGNATURE;
}

enum status load_flat(const struct load_job *job, struct load_entry *entry)
{
    const struct load_request *request = job->request;
    const struct load_image *kernel = &request->kernel;

    if (kernel->size > LOAD_FLAT_MAXIMUM) {
        return load_refuse(job, STATUS_NO_MEMORY, kernel->file,
                           "size: found %llu bytes, expected at most %llu (0x7c00 to 0x%llx) of a "
                           "flat real-mode image",
                           (unsigned long long)kernel->size, LOAD_FLAT_MAXIMUM, LOAD_LOW_FREE_END);
    }
    if (request->module_count != 0 || request->initrd.bytes != NULL) {
        return load_refuse(
            job, STATUS_INVALID, kernel->file,
            "modules and initrd: found %u, expected none with a flat image, which has "
            "no way to find them",
            request->module_count + (request->initrd.bytes != NULL ? 1 : 0));
    }
    load_copy(job, LOAD_FLAT_ADDRESS, kernel->bytes, kernel->size);
    load_entry_real(entry, (uint16_t)LOAD_FLAT_ADDRESS);
    entry->type = LOAD_FLAT;
    entry->gpr[GPR_RDX] = BOOT_DRIVE;
    format_text(entry->summary, sizeof(entry->summary),
                "flat image of %llu bytes at 0x%llx, entered in real mode",
                (unsigned long long)kernel->size, LOAD_FLAT_ADDRESS);
    return STATUS_OK;
}
