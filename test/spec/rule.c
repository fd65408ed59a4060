// SPDX-License-Identifier: MIT
// The words of the rules (rule.h).
#include "test/spec/rule.h"

static const char *const modules[SPEC_MODULE_COUNT] = {
#define NAME_ROW(name, text) [name] = (text),
    SPEC_MODULES(NAME_ROW)
#undef NAME_ROW
};

static const struct spec_rule_words rules[SPEC_RULE_COUNT] = {
    [SPEC_ALLOWED] = {SPEC_MODULE_COUNT, STATUS_OK, "any", "allowed"},
#define WORDS_ROW(name, module, primitive, status, text)                                           \
    [name] = {(module), (status), (primitive), (text)},
    SPEC_RULES(WORDS_ROW)
#undef WORDS_ROW
};

const struct spec_rule_words *spec_rule_words(enum spec_rule rule)
{
    return &rules[rule];
}

const char *spec_module_name(enum spec_module module)
{
    return modules[module];
}
