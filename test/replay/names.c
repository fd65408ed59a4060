// SPDX-License-Identifier: MIT
// Names (names.h): a row, with a guess for each address because the same few come again and again.
#include "test/replay/names.h"

static uint32_t *guess_of(struct names *names, uint64_t address)
{
    return &names->guess[(address >> 3 ^ address >> 12) % 1024];
}

uint32_t names_find(struct names *names, uint64_t address)
{
    uint32_t *guess = guess_of(names, address);

    if (names->addresses[*guess] != address) {
        uint32_t place = 0;

        while (place < names->used && names->addresses[place] != address) {
            place++;
        }
        if (place == names->used) {
            return names->count;
        }
        *guess = place;
    }
    return *guess;
}

uint32_t names_add(struct names *names, uint64_t address)
{
    uint32_t place = 0;

    while (place < names->count && names->addresses[place]) {
        place++;
    }
    if (place < names->count) {
        names_put(names, place, address);
    }
    return place;
}

void names_put(struct names *names, uint32_t place, uint64_t address)
{
    names->addresses[place] = address;
    names->used = place < names->used ? names->used : place + 1;
    *guess_of(names, address) = place;
}

void names_remove(struct names *names, uint32_t place)
{
    names->addresses[place] = 0;
}
