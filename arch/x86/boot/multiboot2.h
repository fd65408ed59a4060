// SPDX-License-Identifier: MIT
// Reads the boot information of a multiboot2 loader ("Boot information format" of the Multiboot2
// specification). Pure: the input is bytes, every length is checked against the whole. Called once
// at boot; host-tested.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "arch/x86/boot/boot_information.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define MULTIBOOT2_MAGIC 0x36d76289u // in EAX at entry
// Parses `size` bytes at `data` (aligned to 8; the loader's total_size field must be <= size) into
// `information`, its memory map with the modules in it included.
// STATUS_MALFORMED: a length or structure breaks the format; STATUS_NOT_FOUND: no memory map;
// STATUS_NO_MEMORY: more modules or regions, or a longer line, than `information` can hold.
MUST_CHECK enum status multiboot2_parse(const void *data, size_t size,
                                        struct boot_information *information);
