// SPDX-License-Identifier: MIT
// The machine's first state and its invariants (machine.h).
#include "test/spec/machine.h"
#include "test/spec/machine_private.h"

void spec_machine_init(struct spec_machine *machine, uint32_t cpus, uint64_t quota)
{
    *machine = (struct spec_machine){.cpu_count = cpus};
    for (uint32_t i = 0; i < SPEC_CPUS; i++) {
        machine->cpus[i] = (struct spec_cpu){
            .page_table = SPEC_KERNEL, .current = SPEC_NONE, .waits_for = SPEC_NONE};
        if (i < cpus) {
            machine->cpus[i].online = true;
            machine->cpus[i].mode = (struct spec_modes){true, true, true, true, true};
        }
    }
    for (uint32_t i = 0; i < SPEC_LOCKS; i++) {
        machine->locks[i].holder = SPEC_NONE;
    }
    for (uint32_t i = 0; i < SPEC_THREADS; i++) {
        machine->threads[i].condition = SPEC_NONE;
        machine->threads[i].deadline = UINT64_MAX;
    }
    spec_containers_init(&machine->containers, quota);
}

static const char *mode_invariant(const struct spec_cpu *cpu)
{
    const struct spec_modes *mode = &cpu->mode;

    if (!mode->init) {
        return NULL;
    }
    if (!mode->ikern && !mode->ihost) {
        return "a CPU is in user, host kernel or guest mode";
    }
    if (mode->ipt != mode->ikern) {
        return "the page table is the kernel's exactly in kernel mode";
    }
    if (mode->ikern != (cpu->page_table == SPEC_KERNEL)) {
        return "in user mode the page table is that of cur";
    }
    return mode->ikern || cpu->current != SPEC_NONE ? NULL : "in user mode a thread runs";
}

static const char *lock_invariant(const struct spec_machine *machine, uint32_t id)
{
    const struct spec_cpu *cpu = &machine->cpus[id];
    uint32_t channel_locks = 0;

    for (uint32_t i = 0; i < cpu->held_count; i++) {
        if (machine->locks[cpu->held[i]].holder != id) {
            return "a lock is held by the CPU that says so";
        }
        channel_locks += cpu->held[i] < SPEC_CHANNELS;
    }
    if (channel_locks > 1) {
        return "a CPU holds one channel lock at most";
    }
    bool locks_allowed = cpu->mode.ikern && cpu->mode.ihost;
    return cpu->held_count == 0 || locks_allowed ? NULL : "no lock is held outside the host kernel";
}

static const char *cpu_invariant(const struct spec_machine *machine, uint32_t id)
{
    const struct spec_cpu *cpu = &machine->cpus[id];
    const char *words = mode_invariant(cpu);

    if (words == NULL) {
        words = lock_invariant(machine, id);
    }
    if (words == NULL && cpu->current != SPEC_NONE &&
        (machine->threads[cpu->current].state != SPEC_RUNNING ||
         machine->threads[cpu->current].cpu != id)) {
        words = "a CPU's thread is RUNNING and belongs to it";
    }
    return words;
}

static const char *thread_invariant(const struct spec_machine *machine, uint32_t id)
{
    const struct spec_thread *thread = &machine->threads[id];

    if (thread->state == SPEC_RUNNING && machine->cpus[thread->cpu].current != id) {
        return "a CPU runs one thread at most";
    }
    return thread->chosen && thread->condition == SPEC_NONE ? "who was chosen was waiting" : NULL;
}

static const char *channel_invariant(const struct spec_channel *channel)
{
    return channel->busy <= 1 && (channel->busy || channel->count == 0)
               ? NULL
               : "a channel that holds a message is busy";
}

const char *spec_machine_invariant(const struct spec_machine *machine)
{
    const char *words = spec_containers_invariant(&machine->containers);

    for (uint32_t i = 0; words == NULL && i < machine->cpu_count; i++) {
        words = cpu_invariant(machine, i);
    }
    for (uint32_t i = 0; words == NULL && i < SPEC_THREADS; i++) {
        words = thread_invariant(machine, i);
    }
    for (uint32_t i = 0; words == NULL && i < SPEC_CHANNELS; i++) {
        words = channel_invariant(&machine->channels[i]);
    }
    return words;
}
