// SPDX-License-Identifier: MIT
// The world of the lock-step test of processes: programs that make the system calls that the test
// orders, on the kernel's own processes, threads and system-call table. process_world.c keeps it
// and compares it with the specification, lockstep_process.c drives it.
#pragma once

#include "kernel/process/process.h"
#include "test/spec/process.h"

#define WORLD_CPUS 4u

// Where the program has its code, and two pages that it may write.
#define PROGRAM_CODE 0x400000ull
#define PROGRAM_DATA 0x402000ull

// A thread in ring 3.
struct program {
    struct thread *thread; // null: none
    bool ordered;
    bool done; // with its order
    bool faults;
    uint64_t number; // of the system call, or vector of the exception
    uint64_t arguments[4];
    int64_t result;
    uint64_t events; // bits that it has waited for and got
};

extern struct spec_processes spec;
extern struct process *world_processes[SPEC_PROCESSES]; // where the kernel has them
extern struct thread *world_threads[SPEC_PROCESS_THREADS];
extern void *world_channels[SPEC_PROCESS_CHANNELS];

// Makes the machine and the first process.
void world_start(void);

// The program that runs in ring 3 on a CPU now; null: the CPU idles. *thread: its number.
struct program *world_program(uint32_t cpu, uint32_t *thread);

// The program of a thread of the kernel; null: none.
struct program *world_thread_program(const struct thread *thread);

// Lets a CPU go on by itself: interrupts are taken, programs rest, others get their turn.
void world_rest(uint32_t cpu);

// The program makes the system call, or takes the exception. It may not come back from it for now.
void world_call(uint32_t cpu, struct program *program, uint64_t number, uint64_t a, uint64_t b,
                uint64_t c, uint64_t d);
void world_fault(uint32_t cpu, struct program *program, uint64_t vector, uint64_t address,
                 uint64_t rip);

// Lets all CPUs run until what the specification says has come to pass: `program`, on `thread`, is
// back in ring 3 or ended. Then compares.
void world_settle(const char *what, const struct program *program, uint32_t thread);

// Bytes of a program's memory.
void world_write(struct process *process, uint64_t address, const void *bytes, uint64_t size);
void world_read(struct process *process, uint64_t address, void *bytes, uint64_t size);

// Ends of interrupts that the local APIC was told of.
extern uint64_t world_interrupts_ended;
extern uint64_t world_nmis; // that were handled

// True when the first process's end has ended the machine.
bool world_ended(void);

// A handle of the process to ask for, mostly of that kind; one of a container, mostly not revoked.
uint64_t choose_handle(uint32_t process, uint32_t kind);
uint64_t choose_container(uint32_t process);

// A quota for a child of the container that the handle names.
uint64_t choose_pages(uint32_t process, uint64_t number);

// How many processes there are, and threads of one process (SPEC_NONE: of all).
uint32_t count_processes(void);
uint32_t count_threads(uint32_t of);
