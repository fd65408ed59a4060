// SPDX-License-Identifier: MIT
// The log names locks, channels and conditions by their address, the specification by a number in a
// row of places. A table of names keeps which is which.
#pragma once

#include <stdint.h>

#include "test/spec/container.h"

#define NAMES_MAXIMUM (512u * SPEC_ROOM)

struct names {
    uint32_t count;                    // places, at most NAMES_MAXIMUM
    uint32_t used;                     // no place from this one on has had a name yet
    uint64_t addresses[NAMES_MAXIMUM]; // 0: the place is free
    uint32_t guess[1024];              // where an address was last found
};

// The place of an address; `count` when it has none.
uint32_t names_find(struct names *names, uint64_t address);

// Gives the address, which has none, a free place; `count` when there is none.
uint32_t names_add(struct names *names, uint64_t address);

// Gives the address that place, which is free.
void names_put(struct names *names, uint32_t place, uint64_t address);

void names_remove(struct names *names, uint32_t place);
