// SPDX-License-Identifier: MIT
// The abstract state of the whole machine that locks, channels, threads, modes and containers act
// on, and their specifications. Lock-step tests and the replay of event logs drive it.
//
// It is large: give `now` as `next`, and nothing is copied. Who is served first is told by numbers
// drawn from `clock`: of all that wait, the one with the lowest number waits longest.
#pragma once

#include "test/spec/container.h"
#include "test/spec/rule.h"

#define SPEC_CPUS     64u
#define SPEC_THREADS  (1024u * SPEC_ROOM)
#define SPEC_CHANNELS (256u * SPEC_ROOM)
#define SPEC_LOCKS    (512u * SPEC_ROOM) // the first SPEC_CHANNELS are the channels' own
#define SPEC_CONDITIONS                                                                            \
    (768u * SPEC_ROOM) // the first SPEC_LOCKS are guarded by the lock of the same number
#define SPEC_LOCK_DEPTH 8u
#define SPEC_KERNEL     UINT32_MAX // page_table of a CPU: the kernel's

struct spec_modes {
    bool init;  // boot finished
    bool ikern; // kernel, not user, code
    bool ihost; // host, not guest
    bool pg;    // paging on
    bool ipt;   // the kernel's page table in force
};

struct spec_cpu {
    bool online;
    bool interrupts; // RFLAGS.IF
    struct spec_modes mode;
    uint32_t page_table;            // SPEC_KERNEL, or the process whose it is
    uint32_t current;               // the RUNNING thread; SPEC_NONE: it idles
    uint32_t held[SPEC_LOCK_DEPTH]; // locks, in the order in which they were taken
    uint32_t held_count;
    uint32_t waits_for;     // a lock; SPEC_NONE: none
    uint64_t ticket;        // its turn there
    uint64_t fault_address; // of its last trap from ring 3
    uint64_t return_address;
};

struct spec_lock {
    bool exists;
    uint32_t rank;   // in the lock order
    uint32_t holder; // CPU; SPEC_NONE: free
};

// One channel; its lock has the same number, and so has the condition of its senders.
struct spec_channel {
    bool exists;
    uint32_t container;
    uint32_t busy;
    uint32_t count;
};

enum spec_thread_state {
    SPEC_UNUSED,
    SPEC_READY,
    SPEC_RUNNING,
    SPEC_SLEEPING,
    SPEC_DEAD // ended; its stack is not yet freed
};

// Registers of the saved user context, by what uctx_get and uctx_set call an offset.
enum spec_register {
    SPEC_RAX,
    SPEC_RCX,
    SPEC_RDX,
    SPEC_RBX,
    SPEC_RSP, // a pointer
    SPEC_RBP,
    SPEC_RSI,
    SPEC_RDI,
    SPEC_R8,
    SPEC_R15 = SPEC_R8 + 7,
    SPEC_RIP, // a pointer
    SPEC_RFLAGS,
    SPEC_REGISTERS
};

struct spec_thread {
    enum spec_thread_state state;
    uint32_t cpu; // for life
    uint32_t priority;
    uint32_t process;   // SPEC_NONE: a thread of the kernel
    uint32_t container; // charged for it
    bool killed;
    bool chosen;        // a wake of its condition chose it
    bool queued;        // in its CPU's message queue: woken by another CPU
    uint64_t events;    // event bits, pending
    uint32_t condition; // that it waits on; SPEC_NONE: none
    uint64_t turn;      // there; or in the run queue while READY
    uint64_t deadline;  // UINT64_MAX: none
    uint64_t stack_low; // its kernel stack; 0: not known
    uint64_t stack_high;
    uint32_t registers_set; // bits: which of them hold a value
    uint64_t registers[SPEC_REGISTERS];
};

struct spec_machine {
    uint64_t clock; // numbers drawn so far
    uint32_t cpu_count;
    struct spec_cpu cpus[SPEC_CPUS];
    struct spec_lock locks[SPEC_LOCKS];
    uint32_t guards[SPEC_CONDITIONS - SPEC_LOCKS]; // locks of the conditions behind the first
    struct spec_channel channels[SPEC_CHANNELS];
    struct spec_thread threads[SPEC_THREADS];
    struct spec_containers containers;
};

// A machine of `cpus` CPUs that have finished boot and idle in the kernel, with a root container.
void spec_machine_init(struct spec_machine *machine, uint32_t cpus, uint64_t quota);

// Null, or the words of the first invariant that does not hold: one RUNNING thread per CPU, legal
// mode flags, locks held by who says so, at most one channel lock per CPU, no other thread's
// number twice in a queue, containers.
const char *spec_machine_invariant(const struct spec_machine *machine);

// -- locks ------------------------------------------------------------------------------------

// Makes lock `lock` of that rank known; channel_create_spec does it for its own.
void spec_lock_add(struct spec_machine *machine, uint32_t lock, uint32_t rank);

// PRIMITIVES acquire_lock: the CPU draws a ticket ...
enum spec_rule acquire_lock_spec(const struct spec_machine *now, uint32_t cpu, uint32_t lock,
                                 struct spec_machine *next);
// ... and owns the lock once it is its turn.
enum spec_rule own_lock_spec(const struct spec_machine *now, uint32_t cpu, uint32_t lock,
                             struct spec_machine *next);
enum spec_rule release_lock_spec(const struct spec_machine *now, uint32_t cpu, uint32_t lock,
                                 struct spec_machine *next);
bool spec_lock_held(const struct spec_machine *now, uint32_t cpu, uint32_t lock);

// The lock that guards a condition; SPEC_NONE: there is no such condition.
uint32_t spec_condition_lock(const struct spec_machine *now, uint32_t condition);

// -- channels ---------------------------------------------------------------------------------

// `rank`: of its lock.
enum spec_rule channel_create_spec(const struct spec_machine *now, uint32_t channel,
                                   uint32_t container, uint32_t rank, struct spec_machine *next);
enum spec_rule channel_destroy_spec(const struct spec_machine *now, uint32_t channel,
                                    struct spec_machine *next);
enum spec_rule get_sync_chan_busy_spec(const struct spec_machine *now, uint32_t cpu,
                                       uint32_t channel, uint32_t *busy);
enum spec_rule set_sync_chan_busy_spec(const struct spec_machine *now, uint32_t cpu,
                                       uint32_t channel, uint32_t busy, struct spec_machine *next);

// The start of a send: takes the free slot. CLAIM_FREE: the caller sleeps, or gives up.
enum spec_rule channel_claim_spec(const struct spec_machine *now, uint32_t cpu, uint32_t channel,
                                  struct spec_machine *next);
// The body, in the lock, with the slot taken. `readable`: bytes from the buffer's start that cur
// may read (what a log does not know: UINT64_MAX). What is in the slot is channel_slot.h's.
enum spec_rule ipc_send_body_spec(const struct spec_machine *now, uint32_t cpu, uint32_t channel,
                                  uint64_t count, uint64_t readable, struct spec_machine *next);
// *received: bytes. Busy stays.
enum spec_rule ipc_receive_body_spec(const struct spec_machine *now, uint32_t cpu, uint32_t channel,
                                     uint64_t capacity, uint64_t writable,
                                     struct spec_machine *next, uint64_t *received);
// What an exchange refuses before it sends: `bytes` (0: none) and `capacity` at a buffer of which
// cur may write `writable` bytes; `bound`: messages of the channel to receive from wake cur. Then
// it is a send, a sleep for events until a message is stored, and a receive.
enum spec_rule channel_exchange_spec(uint64_t bytes, uint64_t capacity, bool bound,
                                     uint64_t writable);
// The end of a receive: wakes the sender that waits longest (`woken`: SPEC_NONE when none waits)
// and hands it the slot, or frees the slot.
enum spec_rule channel_pass_spec(const struct spec_machine *now, uint32_t cpu, uint32_t channel,
                                 uint32_t woken, struct spec_machine *next);
// The sender that channel_pass_spec asks for.
uint32_t spec_longest_waiting(const struct spec_machine *now, uint32_t condition);

// -- threads ----------------------------------------------------------------------------------

// Makes SLEEPING thread `thread` of CPU `cpu`.
enum spec_rule thread_spawn_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                                 uint32_t container, uint32_t process, uint32_t priority,
                                 struct spec_machine *next);
// The CPU goes from what it runs to `to` (SPEC_NONE: it idles). A RUNNING thread becomes READY; one
// that slept or ended has left the CPU without a thread before.
enum spec_rule thread_switch_spec(const struct spec_machine *now, uint32_t cpu, uint32_t to,
                                  struct spec_machine *next);
// cur blocks on `condition`, whose lock it holds and gives up in the same step; or, with
// SPEC_NONE, on nothing but events and `deadline`, holding no lock.
enum spec_rule thread_sleep_spec(const struct spec_machine *now, uint32_t cpu, uint32_t condition,
                                 uint64_t deadline, struct spec_machine *next);
// The end of a wait, in the condition's lock again: cur was chosen, or is killed. *chosen: which.
// WAIT_OVER: neither, so cur sleeps once more and keeps its turn.
enum spec_rule condition_wait_end_spec(const struct spec_machine *now, uint32_t cpu,
                                       struct spec_machine *next, bool *chosen);
// SLEEPING becomes READY on its own CPU; on another CPU it enters that CPU's message queue.
// Nothing wakes one that has ended.
enum spec_rule thread_wake_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                                struct spec_machine *next);
// The CPU takes `thread` out of its message queue and wakes it.
enum spec_rule message_queue_take_spec(const struct spec_machine *now, uint32_t cpu,
                                       uint32_t thread, struct spec_machine *next);
// Chooses and wakes the waiter of `condition` that waits longest.
enum spec_rule condition_wake_spec(const struct spec_machine *now, uint32_t cpu, uint32_t condition,
                                   uint32_t thread, struct spec_machine *next);
// Sets event bits and wakes the thread.
enum spec_rule thread_signal_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                                  uint64_t bits, struct spec_machine *next);
// cur takes and clears its event bits.
enum spec_rule thread_take_events_spec(const struct spec_machine *now, uint32_t cpu,
                                       struct spec_machine *next, uint64_t *bits);
enum spec_rule thread_kill_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                                struct spec_machine *next);
// cur ends: DEAD until thread_free_spec.
enum spec_rule thread_exit_spec(const struct spec_machine *now, uint32_t cpu,
                                struct spec_machine *next);
enum spec_rule thread_free_spec(const struct spec_machine *now, uint32_t thread,
                                struct spec_machine *next);

// -- modes and user contexts --------------------------------------------------------------------

enum spec_rule hostout_spec(const struct spec_machine *now, uint32_t cpu,
                            struct spec_machine *next);
enum spec_rule hostin_spec(const struct spec_machine *now, uint32_t cpu, struct spec_machine *next);
enum spec_rule proc_start_user_spec(const struct spec_machine *now, uint32_t cpu,
                                    struct spec_machine *next);
// `registers`: what the program had. `stack`: the kernel's stack pointer, 0: not known.
enum spec_rule proc_exit_user_spec(const struct spec_machine *now, uint32_t cpu,
                                   const uint64_t registers[SPEC_REGISTERS], uint64_t stack,
                                   struct spec_machine *next);
enum spec_rule uctx_get_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                             uint32_t index, uint64_t *value);
enum spec_rule uctx_set_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                             uint32_t index, uint64_t value, struct spec_machine *next);
// Pointers are set only by this call, which checks them.
enum spec_rule uctx_set_pointer_spec(const struct spec_machine *now, uint32_t cpu, uint32_t thread,
                                     uint32_t index, uint64_t address, struct spec_machine *next);
// Gives thread `thread` the complete context of a program that starts at `rip`, other registers 0.
void spec_context_fill(struct spec_machine *machine, uint32_t thread, uint64_t rip, uint64_t rsp);
// A trap from ring 3 writes these; traps of the kernel do not.
void trap_info_save_spec(const struct spec_machine *now, uint32_t cpu, uint64_t fault_address,
                         uint64_t return_address, struct spec_machine *next);
uint64_t trap_info_get_spec(const struct spec_machine *now, uint32_t cpu);
uint64_t trap_info_ret_spec(const struct spec_machine *now, uint32_t cpu);
