// SPDX-License-Identifier: MIT
// The words of the configuration's `intercept` line: exits that a guest normally does not cause.
// Pure. The scripts read the words from intercept.c too.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/abi/syscall.h"
#include "vmm/config/config.h"

// Not the kernel's: each exception goes through the monitor.
#define CONFIG_INTERCEPT_EXCEPTIONS (1u << 31)
// Not an exit of the guest's: its first HLT is followed by an entry with a state that the processor
// refuses, to see what a refused entry looks like.
#define CONFIG_INTERCEPT_BAD_STATE (1u << 30)

// Reads words separated by commas into VM_INTERCEPT_* and CONFIG_INTERCEPT_*. False: *unknown is
// the first word that is none.
bool config_take_intercepts(struct config_text text, uint32_t *intercepts,
                            struct config_text *unknown);

// Writes the words of `intercepts` with blanks between them, and a NUL.
void config_intercept_words(uint32_t intercepts, char *text, size_t size);
