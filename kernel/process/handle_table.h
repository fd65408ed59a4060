// SPDX-License-Identifier: MIT
// A process's handles: small numbers that name kernel objects of a kind. Pure; the process's lock
// guards it where threads of several CPUs share it.
#pragma once

#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define HANDLE_MAXIMUM 128u

enum handle_kind {
    HANDLE_NONE,
    HANDLE_CONTAINER, // value: id | generation << 32
    HANDLE_PROCESS,   // struct process, counted
    HANDLE_THREAD,    // struct thread, counted
    HANDLE_MODULE,    // value: index
    HANDLE_CHANNEL,   // struct channel, counted
    HANDLE_VM,        // struct vm, owned by the process
    HANDLE_VCPU,      // struct vcpu, owned by its VM
    HANDLE_KIND_COUNT
};

struct handle {
    enum handle_kind kind;
    union {
        void *object;
        uint64_t value;
    };
};

struct handle_table {
    struct handle entries[HANDLE_MAXIMUM];
};

// Enters an object under the lowest free number. STATUS_NO_MEMORY: the table is full.
MUST_CHECK enum status handle_table_add(struct handle_table *table, struct handle handle,
                                        uint32_t *number);

// The object behind a number. STATUS_NOT_FOUND: none; STATUS_DENIED: of another kind.
MUST_CHECK enum status handle_table_get(const struct handle_table *table, uint64_t number,
                                        enum handle_kind kind, struct handle *handle);

// Frees the number and returns what it named. STATUS_NOT_FOUND.
MUST_CHECK enum status handle_table_remove(struct handle_table *table, uint64_t number,
                                           struct handle *handle);
