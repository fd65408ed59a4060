// SPDX-License-Identifier: MIT
// The specification of guest memory: ranges of a process's memory that a VM sees through its nested
// page table. What is granted stays where it is, and nothing else is seen.
#pragma once

#include "test/spec/rule.h"
#include "test/spec/space.h"

#define SPEC_GRANTS   128u
#define SPEC_VM_PAGES 8u // the object, CPUID answers, grants, the backend's four, the root table

enum spec_grant_flag { SPEC_GRANT_READ = 1, SPEC_GRANT_WRITE = 2, SPEC_GRANT_EXECUTE = 4 };

struct spec_grant {
    uint64_t gpa;
    uint64_t bytes;
    uint64_t address; // the process's
};

struct spec_vm {
    uint64_t charged; // pages; 0: there is no VM
    uint64_t physical_limit;
    uint32_t count;
    struct spec_grant grants[SPEC_GRANTS]; // in no order
    struct spec_table nested;
};

// Null, or the words of the first invariant that does not hold: each grant is mapped throughout, to
// where its process has it, nothing else is, and each is pinned.
const char *spec_vm_invariant(const struct spec_vm *vm, const struct spec_space *space);

// `quota`: pages that the container has left.
enum spec_rule vm_make_spec(uint64_t quota, uint64_t physical_limit, struct spec_vm *next);
void vm_end_spec(struct spec_vm *vm, struct spec_space *space);

// These change *vm and *space, unless they are refused.
enum spec_rule vm_grant_spec(struct spec_vm *vm, struct spec_space *space, uint64_t quota,
                             const struct spec_grant *wanted, uint32_t flags);
enum spec_rule vm_revoke_spec(struct spec_vm *vm, struct spec_space *space, uint64_t gpa,
                              uint64_t bytes);
