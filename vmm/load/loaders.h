// SPDX-License-Identifier: MIT
// One loader for each kind of image. load_guest checks the request, chooses and calls one of them.
// Each validates everything, then writes guest memory and fills `entry`; on refusal the report is
// written. Internal to vmm/load; statuses as in load.h.
#pragma once

#include <stdbool.h>
#include "vmm/load/load_job.h"

enum status load_linux(const struct load_job *job, struct load_entry *entry) MUST_CHECK;
enum status load_elf(const struct load_job *job, struct load_entry *entry) MUST_CHECK;
enum status load_multiboot(const struct load_job *job, struct load_entry *entry) MUST_CHECK;
enum status load_flat(const struct load_job *job, struct load_entry *entry) MUST_CHECK;

// Loads the 64-bit ELF kernel `image` with boot_params, its segments below `highest`. `setup`: the
// bzImage it came out of, whose checked setup header it gets, or null.
enum status load_elf_image(const struct load_job *job, const struct load_image *image,
                           const uint8_t *setup, uint64_t highest,
                           struct load_entry *entry) MUST_CHECK;

// What load_detect asks. Each looks at magic numbers only and accepts any size.
bool load_is_linux(const struct load_image *kernel);
bool load_is_multiboot(const struct load_image *kernel);
bool load_is_flat(const struct load_image *kernel);
