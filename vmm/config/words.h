// SPDX-License-Identifier: MIT
// The pieces a line of the configuration is made of: words, names, numbers. Internal to the parser.
#pragma once

#include "vmm/config/config.h"

// Splits the first word off *rest and skips the one space behind it.
struct config_text config_take_word(struct config_text *rest);

// True for 1 to CONFIG_NAME_MAXIMUM letters, digits, '.', '_' and '-'.
bool config_is_name(struct config_text text);

// Reads a decimal number without sign or surplus text into *value; false where it is none.
bool config_take_number(struct config_text text, uint64_t *value);
