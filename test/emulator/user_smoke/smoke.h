// SPDX-License-Identifier: MIT
// A program that checks the system calls from ring 3. It is booted in the place of the console
// process; its children are the same program with a role as its argument.
#pragma once

#include <stdint.h>
#include "kernel/abi/syscall.h"
#include "vmm/runtime/system_call.h"
#include "vmm/runtime/tsc.h"

#define SMOKE_MODULE_NAME "console" // this program's own boot module

// Handles of a child.
#define CHILD_TO_PARENT   HANDLE_FIRST_PASSED
#define CHILD_FROM_PARENT (HANDLE_FIRST_PASSED + 1)

extern const struct process_info *smoke_info;

// Handle of this program's own boot module, and the words behind its name there.
uint32_t smoke_module(void);
const char *smoke_words(void);

// Prints on the log port.
void smoke_print(const char *text);

// Counts a failure and prints it when the two differ.
void expect(const char *what, int64_t got, int64_t want);

// Runs the role that a child was started with; its result is the exit code.
int64_t child_main(const char *role);

// The decimal number that a text begins with.
uint64_t smoke_number(const char *text);

#define FUZZ_CALLS 30000u // random system calls of a child

// A child process with its container and channels.
struct child {
    uint32_t container;
    uint32_t process;
    uint32_t receive; // from the child
    uint32_t send;    // to the child
};

// Starts a child in a new container of `pages`.
void child_start(struct child *child, const char *role, uint64_t pages);

// Waits until the child's end, or the time limit; fills `status`.
void child_wait(const struct child *child, struct process_status *status);

// Ends the child, checks that its container is empty, and gives everything back.
void child_finish(struct child *child);

void test_calls(void);     // smoke_calls.c
void test_threads(void);   // smoke_calls.c
void test_processes(void); // smoke_processes.c
void test_fuzz(void);      // smoke_processes.c: with the seed and the rounds of "fuzz SEED ROUNDS"
void test_machines(void);  // smoke_vm.c
