// SPDX-License-Identifier: MIT
// The boot modules: read-only bytes with a name. Set up once at boot, constant afterwards.
#pragma once

#include <stdint.h>
#include "arch/x86/boot/boot_information.h"
#include "kernel/abi/syscall.h"
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define MODULE_NONE UINT32_MAX

// Takes over the modules of the boot information, and clears what lies behind each in its last
// page.
void module_init(const struct boot_information *information);

uint32_t module_count(void);

// The first module of that name; MODULE_NONE.
uint32_t module_find(const char *name);

// Size, name and the rest of the command line. STATUS_NOT_FOUND.
MUST_CHECK enum status module_describe(uint64_t index, struct module_info *info);

// Where its bytes are (page aligned), for an index below module_count().
hpa_t module_start(uint32_t index);
uint64_t module_bytes(uint32_t index);
