// SPDX-License-Identifier: MIT
// The specification of containers: the tree of page quotas.
#pragma once

#include "test/spec/rule.h"

// At a time; the kernel's own tree has more slots, and uses low ones. The replay of a run with
// thousands of objects is built with more room for all of them.
#ifndef SPEC_ROOM
#define SPEC_ROOM 1u
#endif
#define SPEC_CONTAINERS (256u * SPEC_ROOM)
#define SPEC_DEPTH      32u // of the lowest ones; the root's is 1

struct spec_container {
    bool used;
    uint32_t parent; // the root's is itself
    uint64_t quota;
    uint64_t usage; // own pages and the quotas of the children
    uint32_t generation;
};

struct spec_containers {
    struct spec_container slots[SPEC_CONTAINERS];
};

void spec_containers_init(struct spec_containers *containers, uint64_t quota);

// Null, or the words of the first invariant of PRIMITIVES that does not hold.
const char *spec_containers_invariant(const struct spec_containers *containers);

// `child`: the slot that the kernel chose; any free one is right.
enum spec_rule container_split_spec(const struct spec_containers *now, uint32_t parent,
                                    uint64_t quota, uint32_t child, struct spec_containers *next);
enum spec_rule container_alloc_spec(const struct spec_containers *now, uint32_t id, uint64_t pages,
                                    struct spec_containers *next);
enum spec_rule container_free_spec(const struct spec_containers *now, uint32_t id, uint64_t pages,
                                   struct spec_containers *next);
enum spec_rule container_revoke_spec(const struct spec_containers *now, uint32_t id,
                                     struct spec_containers *next);

// The getters change nothing.
bool container_can_consume_spec(const struct spec_containers *now, uint32_t id, uint64_t pages);
enum spec_rule container_get_spec(const struct spec_containers *now, uint32_t id,
                                  struct spec_container *copy, uint32_t *children);
bool container_is_within_spec(const struct spec_containers *now, uint32_t id, uint32_t ancestor);
