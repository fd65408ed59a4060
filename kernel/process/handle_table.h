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

/*@
  predicate handle_same{A, B}(struct handle_table *table, integer i) =
    \at(table->entries[i].kind, A) == \at(table->entries[i].kind, B) &&
    \at(table->entries[i].value, A) == \at(table->entries[i].value, B);
*/

// Enters an object under the lowest free number. STATUS_NO_MEMORY: the table is full.
/*@
  requires \valid(table) && \valid(number) && \separated(table, number);
  requires handle.kind != HANDLE_NONE;
  terminates \true;
  assigns table->entries[0 .. HANDLE_MAXIMUM - 1], *number;
  ensures \result == STATUS_OK || \result == STATUS_NO_MEMORY;
  ensures \result == STATUS_NO_MEMORY <==>
    \forall integer i; 0 <= i < HANDLE_MAXIMUM ==> \old(table->entries[i].kind) != HANDLE_NONE;
  ensures \result == STATUS_NO_MEMORY ==> *number == \old(*number) &&
    \forall integer i; 0 <= i < HANDLE_MAXIMUM ==> handle_same{Pre, Post}(table, i);
  ensures \result == STATUS_OK ==> *number < HANDLE_MAXIMUM &&
    table->entries[*number].kind == handle.kind && table->entries[*number].value == handle.value &&
    \at(table->entries[\at(*number, Post)].kind, Pre) == HANDLE_NONE;
  ensures \result == STATUS_OK ==> \forall integer i; 0 <= i < *number ==>
    \old(table->entries[i].kind) != HANDLE_NONE;
  ensures \result == STATUS_OK ==> \forall integer i; 0 <= i < HANDLE_MAXIMUM && i != *number ==>
    handle_same{Pre, Post}(table, i);
*/
MUST_CHECK enum status handle_table_add(struct handle_table *table, struct handle handle,
                                        uint32_t *number);

// The object behind a number. STATUS_NOT_FOUND: none; STATUS_DENIED: of another kind.
/*@
  requires \valid_read(table) && \valid(handle) && \separated(table, handle);
  requires kind != HANDLE_NONE;
  terminates \true;
  assigns *handle;
  behavior none:
    assumes number >= HANDLE_MAXIMUM || table->entries[number].kind == HANDLE_NONE;
    assigns \nothing;
    ensures \result == STATUS_NOT_FOUND;
  behavior other:
    assumes number < HANDLE_MAXIMUM && table->entries[number].kind != HANDLE_NONE &&
      table->entries[number].kind != kind;
    assigns \nothing;
    ensures \result == STATUS_DENIED;
  behavior found:
    assumes number < HANDLE_MAXIMUM && table->entries[number].kind == kind;
    ensures \result == STATUS_OK && handle->kind == kind &&
      handle->value == table->entries[number].value;
  complete behaviors;
  disjoint behaviors;
*/
MUST_CHECK enum status handle_table_get(const struct handle_table *table, uint64_t number,
                                        enum handle_kind kind, struct handle *handle);

// Frees the number and returns what it named. STATUS_NOT_FOUND.
/*@
  requires \valid(table) && \valid(handle) && \separated(table, handle);
  terminates \true;
  assigns table->entries[number], *handle;
  behavior none:
    assumes number >= HANDLE_MAXIMUM || table->entries[number].kind == HANDLE_NONE;
    assigns \nothing;
    ensures \result == STATUS_NOT_FOUND;
  behavior found:
    assumes number < HANDLE_MAXIMUM && table->entries[number].kind != HANDLE_NONE;
    ensures \result == STATUS_OK && table->entries[number].kind == HANDLE_NONE;
    ensures handle->kind == \old(table->entries[number].kind) &&
      handle->value == \old(table->entries[number].value);
  complete behaviors;
  disjoint behaviors;
*/
MUST_CHECK enum status handle_table_remove(struct handle_table *table, uint64_t number,
                                           struct handle *handle);
