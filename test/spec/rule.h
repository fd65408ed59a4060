// SPDX-License-Identifier: MIT
// What a specification answers: SPEC_ALLOWED, and it has written the next state, or the rule that
// makes it *none*, and it has written nothing. Each rule says in words what it asks for, belongs to
// one primitive and one module, and names the status with which the kernel refuses.
//
// Every *_spec of this folder is a pure function: it reads *now and its arguments, and writes *next
// (and its results) only when it is allowed. `next` may be `now`: what is refused is then still the
// state before.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"
#include "test/spec/rule_list.h"

// The kernel refuses with a stop of the machine, for it is a mistake of its own.
#define SPEC_PANIC STATUS_COUNT

#define SPEC_NONE UINT32_MAX // no thread, no lock, no container ...

enum spec_module { SPEC_MODULES(SPEC_ENUM_ROW) SPEC_MODULE_COUNT };

enum spec_rule { SPEC_ALLOWED, SPEC_RULES(SPEC_ENUM_ROW) SPEC_RULE_COUNT };

struct spec_rule_words {
    enum spec_module module;
    enum status status;    // what the kernel returns; SPEC_PANIC: it stops
    const char *primitive; // as PRIMITIVES calls it
    const char *text;      // what was asked for and not met
};

// Never null for a rule; SPEC_ALLOWED is "allowed".
const struct spec_rule_words *spec_rule_words(enum spec_rule rule);
const char *spec_module_name(enum spec_module module);
