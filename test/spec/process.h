// SPDX-License-Identifier: MIT
// The specification of processes: who holds which handles and so keeps which objects, what each
// container pays for, who may do what, and what the end of a process gives back. A step is a system
// call with all that follows from it, until whoever is to end has ended.
//
// No references are counted here: an object is there while it lives or a handle names it, and a
// container's usage is the sum of what is charged to it.
#pragma once

#include "test/spec/container.h"
#include "test/spec/handle.h"
#include "test/spec/rule.h"

#define SPEC_PROCESSES        40u
#define SPEC_PROCESS_THREADS  200u
#define SPEC_PROCESS_CHANNELS 200u
#define SPEC_PASSED           24u
#define SPEC_TEXT             2048u
#define SPEC_CHANNEL_PAGES    2u
#define SPEC_SPACE_BASE_PAGES 2u // of an address space before anything is mapped

// Kinds of handles, as the kernel numbers them. Values: a container's id with its generation above
// bit 32; a module's index; of the others the index in the arrays below.
enum spec_handle_kind {
    SPEC_HANDLE_CONTAINER = 1,
    SPEC_HANDLE_PROCESS,
    SPEC_HANDLE_THREAD,
    SPEC_HANDLE_MODULE,
    SPEC_HANDLE_CHANNEL
};

struct spec_process {
    bool exists;
    bool alive;
    bool is_root;       // the device owner
    uint32_t container; // that it lives on
    uint32_t creator;   // container that pays for the struct
    uint32_t priority;
    struct spec_handles handles;
    uint32_t watcher; // thread that is told of the end; SPEC_NONE: none
    uint64_t watch;   // by these event bits
    bool faulted;     // how it ended
    uint64_t code;
    uint64_t vector;
};

struct spec_process_thread {
    bool exists;
    bool alive;
    uint32_t process;
    uint32_t container;
    uint64_t events; // bits that were ever set
};

struct spec_process_channel {
    bool exists;
    uint32_t container;
};

struct spec_processes {
    // Constants of the machine: what an address space with the program takes, what a thread takes
    // besides its struct, how many modules there are (the first is a program), CPUs and ports.
    uint64_t space_pages;
    uint64_t thread_pages;
    uint32_t modules;
    uint32_t cpus;
    uint32_t ports;

    struct spec_containers containers;
    struct spec_process processes[SPEC_PROCESSES];
    struct spec_process_thread threads[SPEC_PROCESS_THREADS];
    struct spec_process_channel channels[SPEC_PROCESS_CHANNELS];
};

// SYS_PROCESS_CREATE's arguments, and whether the caller can read them.
struct spec_process_arguments {
    bool readable;
    bool text_readable;
    uint64_t module; // handles
    uint64_t container;
    uint32_t priority;
    uint32_t handle_count;
    uint64_t handles[SPEC_PASSED];
    uint64_t text_bytes;
    uint32_t cpu; // + 1; 0: any
};

// Null, or the words of the first invariant that does not hold.
const char *spec_processes_invariant(const struct spec_processes *now);

// Makes process 0, the device owner, in the root container.
void spec_processes_start(struct spec_processes *now, uint64_t quota);

// A handle of the caller's that names a thing of that kind.
enum spec_rule process_handle_spec(const struct spec_processes *now, uint32_t caller,
                                   uint64_t number, uint32_t kind, struct spec_handle *handle);

// The same of a call that tells about the thing. `writable`: the caller can have it written.
enum spec_rule process_ask_spec(const struct spec_processes *now, uint32_t caller, uint64_t number,
                                uint32_t kind, bool writable, struct spec_handle *handle);

// Only the device owner, and for a port that there is (SPEC_NONE: the call names none).
enum spec_rule device_owner_spec(const struct spec_processes *now, uint32_t caller, uint32_t port);

// The numbers of new things are the kernel's choice, here the lowest free ones. *number: handle.
enum spec_rule module_open_spec(const struct spec_processes *now, uint32_t caller, uint64_t index,
                                bool writable, struct spec_processes *next, uint32_t *number);
enum spec_rule channel_make_spec(const struct spec_processes *now, uint32_t caller,
                                 struct spec_processes *next, uint32_t *number);
enum spec_rule thread_make_spec(const struct spec_processes *now, uint32_t caller, uint64_t entry,
                                uint64_t stack, uint64_t cpu, struct spec_processes *next,
                                uint32_t *number);
enum spec_rule process_make_spec(const struct spec_processes *now, uint32_t caller,
                                 const struct spec_process_arguments *arguments,
                                 struct spec_processes *next, uint32_t *number);
enum spec_rule handle_close_spec(const struct spec_processes *now, uint32_t caller, uint64_t number,
                                 struct spec_processes *next);
enum spec_rule event_signal_spec(const struct spec_processes *now, uint32_t caller, uint64_t number,
                                 uint64_t bits, struct spec_processes *next);
// The end of the process sets event bit `bit` of the caller's thread `thread`; at once if it is
// over.
enum spec_rule process_bind_spec(const struct spec_processes *now, uint32_t caller, uint32_t thread,
                                 uint64_t number, uint64_t bit, struct spec_processes *next);

// `thread` of a process ends; with the last one the process does.
void process_thread_exit_spec(const struct spec_processes *now, uint32_t thread,
                              struct spec_processes *next);
// The process ends: by itself with `code`, or by an exception.
void process_exit_spec(const struct spec_processes *now, uint32_t process, uint64_t code,
                       struct spec_processes *next);
void process_fault_spec(const struct spec_processes *now, uint32_t process, uint64_t vector,
                        struct spec_processes *next);
enum spec_rule process_destroy_spec(const struct spec_processes *now, uint32_t caller,
                                    uint64_t number, struct spec_processes *next);

// `child`: the slot that the kernel chose.
enum spec_rule container_make_spec(const struct spec_processes *now, uint32_t caller,
                                   uint64_t number, uint64_t pages, uint64_t weight, uint32_t child,
                                   struct spec_processes *next, uint32_t *made);
// Ends all processes in the container and below, then the containers. *left: something of it is
// still charged, so that it stays, and its handle.
enum spec_rule container_end_spec(const struct spec_processes *now, uint32_t caller,
                                  uint64_t number, struct spec_processes *next, bool *left);
