// SPDX-License-Identifier: MIT
// The specification of a process's address space: regions over a page table, what is charged for
// them, and the bytes that programs and the kernel see there. Physical memory is an argument, so
// that several address spaces can share some of it.
#pragma once

#include "test/spec/rule.h"
#include "test/spec/table.h"

#define SPEC_REGIONS      168u
#define SPEC_DYNAMIC_BASE 0x0000100000000000ull // regions whose address the kernel chooses
#define SPEC_DYNAMIC_END  0x0000700000000000ull
#define SPEC_USER_END     0x0000800000000000ull

enum spec_region_kind { SPEC_REGION_MEMORY, SPEC_REGION_PROGRAM, SPEC_REGION_BORROWED };
enum spec_user_permission { SPEC_USER_WRITE = 1u << 0, SPEC_USER_EXECUTE = 1u << 1 };

struct spec_region {
    uint64_t start;
    uint64_t bytes;
    uint32_t kind;
    uint32_t permission;
    uint32_t pins;
};

struct spec_space {
    uint64_t charged; // pages: the list, the tables, and the frames that are its own
    struct spec_table table;
    uint32_t count;
    struct spec_region regions[SPEC_REGIONS]; // by start
};

// What there is to take from: pages that the container has left, and whole blocks of 2 MiB. Single
// pages of memory are not short.
struct spec_supply {
    uint64_t quota;
    uint64_t blocks;
};

// Null, or the words of the first invariant that does not hold: the list is sorted, regions do not
// overlap and are the user's, each is mapped throughout and as its permission says, nothing else
// is mapped, and the charge is the sum of all.
const char *spec_space_invariant(const struct spec_space *space);

enum spec_rule space_init_spec(const struct spec_supply *supply, uint64_t physical_limit,
                               struct spec_space *next);
// Everything is given back; *next is empty.
enum spec_rule space_destroy_spec(const struct spec_space *now, struct spec_space *next);

// The next three, when refused, leave *next as *now is. Which frames are new space_frame_spec
// tells.
enum spec_rule space_allocate_spec(const struct spec_space *now, const struct spec_supply *supply,
                                   uint64_t bytes, uint32_t permission, struct spec_space *next,
                                   uint64_t *address);
enum spec_rule space_allocate_at_spec(const struct spec_space *now,
                                      const struct spec_supply *supply, uint64_t address,
                                      uint64_t bytes, uint32_t permission, struct spec_space *next);
enum spec_rule space_map_borrowed_spec(const struct spec_space *now,
                                       const struct spec_supply *supply, uint64_t frames,
                                       uint64_t bytes, uint32_t permission, struct spec_space *next,
                                       uint64_t *address);
enum spec_rule space_free_spec(const struct spec_space *now, uint64_t address, uint64_t bytes,
                               uint32_t kind, struct spec_space *next);

// The kernel chose `frame` for the leaf that begins at `address`: it is zeroed.
void space_frame_spec(struct spec_space *space, uint8_t *ram, uint64_t address, uint64_t frame);

enum spec_rule space_pin_spec(const struct spec_space *now, uint64_t address, uint64_t bytes,
                              bool writable, struct spec_space *next);
enum spec_rule space_unpin_spec(const struct spec_space *now, uint64_t address,
                                struct spec_space *next);

// *leaf maps the address.
enum spec_rule space_translate_spec(const struct spec_space *now, uint64_t address,
                                    struct spec_leaf *leaf);

// All bytes of the range are the program's to read, or to write.
enum spec_rule user_range_spec(const struct spec_space *now, uint64_t address, uint64_t size,
                               bool writable);
// Copies between a range that user_range_spec allows and `bytes`. `ram`: all of physical memory.
enum spec_rule copy_from_user_spec(const struct spec_space *now, const uint8_t *ram,
                                   uint64_t address, uint64_t size, uint8_t *bytes);
// `writable`: the program itself may write there; else any mapped memory will do.
enum spec_rule copy_to_user_spec(const struct spec_space *now, uint64_t address, uint64_t size,
                                 bool writable, const uint8_t *bytes, uint8_t *ram);
