// SPDX-License-Identifier: MIT
// What Bochs 2.7 does otherwise than the manual says at VM entries, for entry_fuzz.c. One thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/monitor/field_dump.h"

// Rules of the manual that Bochs 2.7 does not check. `section` and `rule` are in the checker's
// line. `ignored`: the rule is broken by bits of these only; 0: whatever breaks it.
struct deviation {
    const char *section;
    const char *rule;
    const char *bochs;
    uint64_t ignored;
    uint32_t met; // states that Bochs enters although this is broken, and nothing else
};

// The other way round: the manual allows it, Bochs 2.7 refuses.
struct extra {
    const char *rule;
    bool (*refuses)(const struct vcpu_field *fields);
    uint32_t met;
};

// The value of a field of a state; entry_fuzz.c's.
uint64_t field_value(const struct vcpu_field *from, uint32_t encoding);

// True when `part` is among the `length` characters.
bool text_holds(const char *line, size_t length, const char *part);

// Broken rules in the checker's text that this processor holds to, and of those the early ones:
// they are checked before the host's state is. *only: the deviation that is alone broken, or null.
size_t bochs_count_binding(const char *text, struct deviation **only, size_t *early);

// Why Bochs alone refuses the state, or null.
struct extra *bochs_refuses(const struct vcpu_field *fields);

// Logs how often each was met. Returns how many never were, when `all` of them should have been.
uint32_t bochs_report(bool all);
