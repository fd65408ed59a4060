// SPDX-License-Identifier: MIT
// Processes: an address space, a container, threads and handles. A process is over when its last
// thread is; that thread gives everything back. The struct itself (charged to the creator) stays
// until the last handle to it is closed, so that its creator can read how it ended.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "kernel/abi/syscall.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"
#include "kernel/lock/lock.h"
#include "kernel/memory/address_space.h"
#include "kernel/process/handle_table.h"
#include "kernel/thread/thread.h"

struct channel;

struct process {
    struct object object; // references: itself while alive, and handles

    // Constant after creation.
    uint32_t container; // what it may use
    uint32_t priority;
    bool is_root; // the device owner
    char name[32];
    struct process_info *information; // its read-only page, charged to container

    struct address_space space;
    struct lock lock;
    // Guarded by lock.
    struct handle_table handles;
    struct queue threads;       // not yet at their end
    uint32_t threads_allocated; // their stacks not yet freed
    bool ending;                // no new threads or handles

    // Guarded by the process tree's lock.
    struct process_status status;
    bool doomed; // status says why it ends
    struct condition ended;
    struct event_binding watcher; // who is told of the end
    struct queue_node alive;      // in the queue of all live processes
};
static_assert(sizeof(struct process) <= 4096, "one page per process");

// Makes a process from boot module `module` and starts it. Handles 0 and 1 are its container and
// itself; `passed` (kinds container, module, channel; the references become the new process's on
// success only) follow from handle 2 on. STATUS_MALFORMED: not a program; STATUS_DEAD: the
// container was revoked; STATUS_STATE: it is being revoked; STATUS_INVALID: no such CPU;
// STATUS_QUOTA; STATUS_NO_MEMORY. `*process` carries a reference for the caller.
struct process_options {
    uint32_t module;
    struct handle container;   // what it may use
    uint32_t struct_container; // its creator's
    uint32_t cpu;              // of its first thread, or CPU_ANY
    uint32_t priority;
    bool is_root;
    uint32_t passed_count;
    uint32_t argument_bytes;
    struct handle passed[HANDLES_PASSED_MAXIMUM];
    uint8_t arguments[PROCESS_ARGUMENTS_MAXIMUM];
};
MUST_CHECK enum status process_create(const struct process_options *options,
                                      struct process **process);

// Adds a thread of CPU `cpu` (or CPU_ANY) that starts in ring 3 at `entry` with rsp = stack_top and
// rdi = argument. STATUS_STATE: the process is ending. As thread_create otherwise.
MUST_CHECK enum status process_add_thread(struct process *process, uint64_t entry,
                                          uint64_t stack_top, uint64_t argument, uint32_t cpu,
                                          struct thread **thread);

// Ends all threads of the process; the first reason given is the one that counts.
void process_kill(struct process *process, const struct process_status *status);

// Kills and waits until everything is given back. STATUS_DEAD: the caller itself was killed
// meanwhile; STATUS_INVALID: the caller's own process.
MUST_CHECK enum status process_destroy(struct process *process);

// The same for all processes in `container` and below.
MUST_CHECK enum status process_destroy_within(uint32_t container);

// Called by a thread on its way out; the last one gives everything back.
void process_thread_ended(struct process *process, struct thread *thread);

// Called when the stack of an ended thread is freed; after the last one the process is over.
void process_thread_freed(struct process *process);

// Enters an object into the handle table of the process.
MUST_CHECK enum status process_handle_add(struct process *process, enum handle_kind kind,
                                          void *object, uint32_t *number);

// Looks a handle up, with a reference of the caller's to counted objects, dropped with
// handle_release. A vCPU is not counted: it lives as long as its VM, of which its own thread knows.
// A container handle whose container was revoked is STATUS_DEAD. take_any: whatever may be passed
// to a new process (channels, modules, containers), else STATUS_DENIED. take_channels: two at once.
MUST_CHECK enum status process_handle_take(struct process *process, uint64_t number,
                                           enum handle_kind kind, struct handle *handle);
MUST_CHECK enum status process_handle_take_channels(struct process *process,
                                                    const uint64_t numbers[2],
                                                    struct channel *channels[2]);
MUST_CHECK enum status process_handle_take_any(struct process *process, uint64_t number,
                                               struct handle *handle);
void handle_release(const struct handle *handle);

// A handle for a container in use.
struct handle container_handle(uint32_t container);

// STATUS_DEAD: the container of the handle was revoked. Conclusive while something of the caller's
// is charged to it, for then it cannot be.
MUST_CHECK enum status container_handle_check(const struct handle *handle);

// Closes one handle. STATUS_INVALID: 0 and 1 stay; STATUS_NOT_FOUND; STATUS_BUSY: a vCPU that runs.
MUST_CHECK enum status process_handle_close(struct process *process, uint64_t number);

// The end of `process` sets event bit `bit` of the running thread; at once if it has ended.
void process_watch(struct process *process, uint32_t bit);

void process_get_status(struct process *process, struct process_status *status);
