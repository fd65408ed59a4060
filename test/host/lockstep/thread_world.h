// SPDX-License-Identifier: MIT
// The world of the lock-step test of threads, channels and locks: a specification that follows the
// kernel's events one by one, threads that do what the test tells them, channels, and memory for
// messages. thread_world.c keeps it, lockstep_thread.c drives it.
#pragma once

#include "kernel/ipc/channel.h"
#include "kernel/process/process.h"
#include "kernel/thread/thread.h"
#include "test/spec/machine.h"

#define WORLD_CPUS     4u
#define WORLD_ACTORS   40u // threads at a time; number 0 is not used
#define WORLD_CHANNELS 10u
#define WORLD_SPACES   2u

// Two pages for each actor, and two that all share.
#define WORLD_MEMORY ((WORLD_ACTORS + 1ull) * 2 * PAGE_SIZE)

struct actor {
    struct thread *thread;                // null: none
    void (*command)(struct actor *actor); // null: it waits for one, or has done it
    void (*settle)(struct actor *actor);  // checks the command once it is done; null: checked
    // Arguments and results of the command.
    uint64_t buffer;
    uint64_t count;
    uint64_t capacity;
    uint64_t bits;
    uint64_t deadline;
    uint32_t space;
    uint32_t channel;
    uint32_t target;
    uint32_t cpu;
    enum spec_rule expected;
    enum status status;
    bool wait;
    uint8_t seed; // what its message is made of
    uint8_t got;  // what the one that it received is made of
    bool exchanges;
    bool sent; // events seen during the command
    bool received;
    bool gave_up;
    bool end; // it shall end at its next command
};

struct world_channel {
    struct channel *channel;
    uint8_t message[4096]; // what the specification's slot holds
    uint8_t seed;          // what it is made of
    uint32_t bound;        // actor; 0: none
    uint64_t bound_bits;
};

extern struct spec_machine spec;
extern struct actor actors[WORLD_ACTORS];
extern struct world_channel channels[WORLD_CHANNELS];
extern struct address_space *spaces[WORLD_SPACES];
extern uint64_t world_memory[WORLD_SPACES];   // where each space's writable memory begins
extern uint64_t world_constant[WORLD_SPACES]; // and one page that is not writable

// Makes machine, channels and spaces.
void world_start(void);

// From now on the specification follows the kernel's events (thread_events.c).
void world_events_start(void);

// Fails unless the specification allows it.
void world_must(enum spec_rule rule, const char *event);

// How often an exchange gave its CPU straight to the receiver.
uint64_t world_handed_over(void);

// Compares all of the kernel's state with the specification's.
void world_compare(const char *what);

// The actor that runs on a CPU; null: it idles.
struct actor *world_current(uint32_t cpu);

// On a CPU: makes an actor for a thread of CPU `cpu` (CPU_ANY: of any). STATUS as thread_create.
enum status world_spawn(uint32_t number, uint32_t container, uint32_t priority, uint32_t cpu);

// Forgets actors whose threads are gone.
void world_bury(void);

// What a message made of `seed` is.
void world_message(uint8_t *message, uint8_t seed, uint64_t count);

// Checks all commands that are done by now.
void world_settle(void);

// An unrelated machine in which cpu runs what it runs in `spec` and holds the lock of `channel`.
struct spec_machine *world_probe(uint32_t cpu, uint32_t channel);

// An actor's memory (thread_memory.c): a buffer of its own, two pages; any address; and how many
// bytes from one on it may read, or write.
uint64_t actor_buffer(const struct actor *actor);
uint64_t actor_any_buffer(const struct actor *actor);
uint64_t actor_accessible(const struct actor *actor, uint64_t address, bool writable);

// As the program itself would: its first `count` bytes become actor_message, or actor_message the
// first `bits` bytes.
extern uint8_t actor_message[CHANNEL_MESSAGE_MAXIMUM];
void actor_write_message(struct actor *actor);
void actor_read_message(struct actor *actor);

// Does a command on the CPU where the actor runs; it may not come back from it for now. `settle`
// checks it when it has. (thread_messages.c)
void actor_command(struct actor *actor, void (*function)(struct actor *actor),
                   void (*settle)(struct actor *actor));

// A send, a receive or an exchange, with any arguments (thread_messages.c).
void actor_send(struct actor *actor);
void actor_receive(struct actor *actor);
void actor_exchange(struct actor *actor);

// The channel whose messages the actor is told of; WORLD_CHANNELS: none. (thread_messages.c)
uint32_t actor_own_channel(const struct actor *actor);

// True while the other one sleeps on the actor's CPU. (thread_messages.c)
bool actor_sees_asleep(const struct actor *actor, uint32_t other);

// What the kernel has to stop at, as commands (thread_misuse.c): locks taken wrongly, and modes.
void misuse_locks(struct actor *actor);
void change_guest_modes(struct actor *actor);
void change_user_modes(struct actor *actor);
