// SPDX-License-Identifier: MIT
// Prints abstract states in words, and what differs between two.
#pragma once

#include <stdio.h>
#include "test/spec/machine.h"

// CPUs that are online, locks held or waited for, channels, threads and containers that exist.
void spec_machine_print(FILE *out, const struct spec_machine *machine);

// One line per field that differs: "thread 3 state: sleeping -> ready". Returns how many.
unsigned spec_machine_difference(FILE *out, const struct spec_machine *before,
                                 const struct spec_machine *after);

// "send: busy is 0 (kernel: busy)": primitive, rule and the kernel's answer.
void spec_rule_print(FILE *out, enum spec_rule rule);
