// SPDX-License-Identifier: MIT
// Handle tables (handle.h).
#include "test/spec/handle.h"

static bool used(const struct spec_handles *now, uint64_t number)
{
    return number < SPEC_HANDLES && now->entries[number].kind != 0;
}

enum spec_rule handle_add_spec(const struct spec_handles *now, struct spec_handle handle,
                               struct spec_handles *next, uint32_t *number)
{
    uint32_t lowest = 0;

    while (used(now, lowest)) {
        lowest++;
    }
    if (lowest == SPEC_HANDLES) {
        return HANDLE_ROOM;
    }
    if (next != now) {
        *next = *now;
    }
    next->entries[lowest] = handle;
    *number = lowest;
    return SPEC_ALLOWED;
}

enum spec_rule handle_get_spec(const struct spec_handles *now, uint64_t number, uint32_t kind,
                               struct spec_handle *handle)
{
    if (!used(now, number)) {
        return HANDLE_GET_USED;
    }
    if (now->entries[number].kind != kind) {
        return HANDLE_GET_KIND;
    }
    *handle = now->entries[number];
    return SPEC_ALLOWED;
}

enum spec_rule handle_remove_spec(const struct spec_handles *now, uint64_t number,
                                  struct spec_handles *next, struct spec_handle *handle)
{
    if (!used(now, number)) {
        return HANDLE_REMOVE_USED;
    }
    struct spec_handle removed = now->entries[number];
    if (next != now) {
        *next = *now;
    }
    next->entries[number] = (struct spec_handle){0};
    *handle = removed;
    return SPEC_ALLOWED;
}
