// SPDX-License-Identifier: MIT
// Where the actors of thread_world.h have their messages, and how they write and read them as
// programs do, without the kernel's help.
#include "kernel/core/event_log.h"
#include "kernel/memory/user_copy.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/lockstep.h"
#include "test/host/lockstep/thread_world.h"

uint64_t actor_buffer(const struct actor *actor)
{
    return world_memory[actor->space] + (uint64_t)(actor - actors) * 2 * PAGE_SIZE;
}

// How many bytes from `address` on the actor's space lets read, or write.
uint64_t actor_accessible(const struct actor *actor, uint64_t address, bool writable)
{
    uint64_t start = world_memory[actor->space];
    uint64_t bytes = WORLD_MEMORY;

    if (address - start < bytes) {
        return start + bytes - address;
    }
    if (!writable && address - world_constant[actor->space] < PAGE_SIZE) {
        return world_constant[actor->space] + PAGE_SIZE - address;
    }
    return 0;
}

uint64_t actor_any_buffer(const struct actor *actor)
{
    switch (lockstep_below(24)) {
    case 0:
        return world_constant[actor->space] + lockstep_below(PAGE_SIZE);
    case 1:
        return world_memory[actor->space] + WORLD_MEMORY - lockstep_below(5000);
    case 2:
        return lockstep_boundary(1ull << 47);
    default:
        return actor_buffer(actor) + lockstep_below(PAGE_SIZE);
    }
}

uint8_t actor_message[CHANNEL_MESSAGE_MAXIMUM];

static void write_message(void *argument)
{
    const struct actor *actor = argument;

    lockstep_same(
        "message", SPEC_ALLOWED,
        address_space_write(spaces[actor->space], actor->buffer, actor_message, actor->count));
}

static void read_message(void *argument)
{
    const struct actor *actor = argument;

    lockstep_same("message", SPEC_ALLOWED,
                  copy_from_user(spaces[actor->space], actor_message, actor->buffer, actor->bits));
}

// As the program would itself: this is not in the log.
static void as_program(struct actor *actor, void (*function)(void *argument))
{
    event_log_on = false;
    host_on_cpu(actor->thread->cpu, function, actor);
    event_log_on = true;
}

void actor_write_message(struct actor *actor)
{
    as_program(actor, write_message);
}

void actor_read_message(struct actor *actor)
{
    as_program(actor, read_message);
}
