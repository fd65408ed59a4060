// SPDX-License-Identifier: MIT
// The specification of handle tables: what each small number names.
#pragma once

#include "test/spec/rule.h"

#define SPEC_HANDLES 128u

struct spec_handle {
    uint32_t kind; // 0: the number is free
    uint64_t value;
};

struct spec_handles {
    struct spec_handle entries[SPEC_HANDLES];
};

// *number: the lowest free one.
enum spec_rule handle_add_spec(const struct spec_handles *now, struct spec_handle handle,
                               struct spec_handles *next, uint32_t *number);
enum spec_rule handle_get_spec(const struct spec_handles *now, uint64_t number, uint32_t kind,
                               struct spec_handle *handle);
enum spec_rule handle_remove_spec(const struct spec_handles *now, uint64_t number,
                                  struct spec_handles *next, struct spec_handle *handle);
