// SPDX-License-Identifier: MIT
// Explains a refused VM entry: holds a dump of the VMCS (field_dump.h) against the rules that the
// processor checks, and names each one that is broken, by the title of the manual's section. Pure:
// fields in, text out; called by the monitor's report and by host tests.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "vmm/monitor/field_dump.h"

// Writes one line (ended by LF) for each broken rule: the section, the field, its value, and what
// is allowed. Cut to `size` bytes with the NUL. Returns how many rules are broken; 0: none that is
// known here, and the text is empty. Fields that the dump lacks are taken as absent from the
// processor, and what depends on them is not checked.
size_t entry_check_all(const struct vcpu_field *fields, size_t count, char *text, size_t size);

// The name of a VMCS field; "unknown field" for an encoding that is none.
const char *entry_check_field_name(uint32_t encoding);
