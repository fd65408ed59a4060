// SPDX-License-Identifier: MIT
// Runs of a vCPU (guest.h): what the kernel finishes by itself, and when it comes back.
#include <string.h>
#include "test/spec/guest.h"

#define RUN_FLAGS_ALL (SPEC_RUN_FETCH | SPEC_RUN_LOG)
#define REASON_CPUID  10u
#define OSXSAVE       (1u << 27) // of CPUID's ECX

static struct spec_core *begin(const struct spec_guests *now, uint32_t core,
                               struct spec_guests *next)
{
    if (next != now) {
        *next = *now;
    }
    return &next->cores[core];
}

static void come_back(struct spec_core *core, enum spec_returned returned, uint64_t events)
{
    core->phase = SPEC_RETURN;
    core->returned = returned;
    if (returned == SPEC_BY_EVENT || returned == SPEC_BY_DEADLINE) {
        core->events = events;
    }
}

// Something is to be told to the monitor, or the vCPU sleeps; else it is entered again.
static void poll_or(struct spec_core *core, const struct spec_poll *poll)
{
    if (poll->events != 0) {
        come_back(core, SPEC_BY_EVENT, poll->events);
    } else if (poll->halted) {
        core->phase = poll->late ? SPEC_RETURN : SPEC_HALTED;
        if (poll->late) {
            come_back(core, SPEC_BY_DEADLINE, 0);
        }
    } else if (poll->late) {
        come_back(core, SPEC_BY_DEADLINE, core->events);
    } else {
        core->phase = SPEC_ENTER;
    }
}

enum spec_rule core_run_spec(const struct spec_guests *now, uint32_t thread, uint64_t number,
                             uint64_t flags, const struct spec_poll *poll, struct spec_guests *next,
                             uint32_t *core)
{
    enum spec_rule rule = core_find_spec(now, thread, number, core);

    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    if ((flags & ~(uint64_t)RUN_FLAGS_ALL) != 0) {
        return CORE_RUN_FLAGS;
    }
    if ((flags & SPEC_RUN_FETCH) == 0 && (flags & SPEC_RUN_LOG) != 0 &&
        !now->cores[*core].has_log) {
        return CORE_RUN_LOG;
    }
    struct spec_core *changed = begin(now, *core, next);
    changed->logged = (flags & (SPEC_RUN_FETCH | SPEC_RUN_LOG)) == SPEC_RUN_LOG;
    if ((flags & SPEC_RUN_FETCH) != 0) {
        come_back(changed, SPEC_BY_NOTHING, 0); // it only fills the page, and counts for nothing
        return SPEC_ALLOWED;
    }
    changed->to_monitor++;
    changed->phase = SPEC_ENTER; // a deadline that has passed ends the entry
    if (poll->halted || poll->events != 0) {
        poll_or(changed, poll);
    }
    return SPEC_ALLOWED;
}

// -- what the kernel answers ----------------------------------------------------------------------

static const struct spec_cpuid *find_leaf(const struct spec_guest *guest, uint32_t leaf,
                                          uint32_t subleaf)
{
    static const struct spec_cpuid absent;

    for (uint32_t i = 0; i < guest->cpuid_count; i++) {
        const struct spec_cpuid *entry = &guest->cpuid[i];

        if (entry->leaf == leaf &&
            ((entry->flags & SPEC_CPUID_SUBLEAF) == 0 || entry->subleaf == subleaf)) {
            return entry;
        }
    }
    return &absent;
}

// False: it is the monitor's.
static bool answer_cpuid(const struct spec_guest *guest, const struct spec_exit *exit,
                         uint64_t registers[4])
{
    const struct spec_cpuid *entry =
        find_leaf(guest, (uint32_t)exit->registers[0], (uint32_t)exit->registers[1]);
    uint32_t ecx = entry->ecx;

    if ((entry->flags & SPEC_CPUID_ASK) != 0) {
        return false;
    }
    if ((entry->flags & SPEC_CPUID_OSXSAVE) != 0) {
        ecx = exit->osxsave ? ecx | OSXSAVE : ecx & ~OSXSAVE;
    }
    registers[0] = entry->eax;
    registers[1] = ecx;
    registers[2] = entry->edx;
    registers[3] = entry->ebx;
    return true;
}

// IN reads all ones: 32 bits of them clear the upper half of RAX.
static bool answer_port(const struct spec_guest *guest, const struct spec_exit *exit,
                        uint64_t registers[4])
{
    uint32_t size = exit->size % 8;

    for (uint32_t i = 0; i < size; i++) {
        uint32_t port = (exit->port + i) % 65536;

        if ((guest->floating[port / 64] >> port % 64 & 1) == 0) {
            return false;
        }
    }
    if (exit->in) {
        registers[0] = size >= 4 ? UINT32_MAX : registers[0] | ((1ull << 8 * size) - 1);
    }
    return true;
}

static bool is_full(const struct spec_core *core, const struct spec_poll *poll)
{
    return core->logged && core->begun - poll->taken >= SPEC_LOG_RECORDS;
}

// The record of the exit, and what the one before still lacks.
static void write_record(struct spec_core *core, const struct spec_exit *exit, uint32_t event,
                         const uint64_t after[4], const struct spec_poll *poll)
{
    struct spec_exit_record *last = &core->records[(core->begun - 1) % SPEC_LOG_RECORDS];

    last->event = event;
    memcpy(last->after, after, sizeof(last->after));
    if (!exit->entered) {
        return;
    }
    if (is_full(core, poll)) {
        core->lost++;
        return;
    }
    struct spec_exit_record *record = &core->records[core->begun++ % SPEC_LOG_RECORDS];
    last->resumed = exit->resumed;
    record->exited = exit->exited;
    memcpy(record->before, exit->registers, sizeof(record->before));
}

static void count(struct spec_core *core, uint32_t reason)
{
    if (reason < SPEC_EXIT_REASONS) {
        core->finished[reason]++;
    }
}

void core_exit_spec(const struct spec_guests *now, uint32_t core, const struct spec_exit *exit,
                    uint32_t event, const struct spec_poll *poll, struct spec_guests *next)
{
    struct spec_core *changed = begin(now, core, next);
    const struct spec_guest *guest = &next->guests[changed->guest];
    bool pauses = exit->kind == SPEC_EXIT_INTERRUPT || exit->kind == SPEC_EXIT_TIMER;

    if (changed->logged) {
        write_record(changed, exit, event, changed->registers, poll);
    }
    changed->finished[REASON_CPUID] += exit->answered;
    memcpy(changed->registers, exit->registers, sizeof(changed->registers));
    changed->skipped = exit->kind == SPEC_EXIT_CPUID || exit->kind == SPEC_EXIT_PORT;
    if (exit->kind == SPEC_EXIT_MONITOR ||
        (exit->kind == SPEC_EXIT_CPUID && !answer_cpuid(guest, exit, changed->registers)) ||
        (exit->kind == SPEC_EXIT_PORT && !answer_port(guest, exit, changed->registers))) {
        changed->skipped = false;
        come_back(changed, SPEC_BY_EXIT, 0);
        return;
    }
    count(changed, exit->reason);
    changed->phase = SPEC_ENTER;
    if (pauses && poll->killed) {
        come_back(changed, SPEC_BY_KILL, 0);
    } else if (pauses) {
        poll_or(changed, poll);
    }
    if (changed->phase == SPEC_ENTER && is_full(changed, poll)) {
        come_back(changed, SPEC_BY_NOTHING, 0);
    }
}

void core_wake_spec(const struct spec_guests *now, uint32_t core, const struct spec_poll *poll,
                    struct spec_guests *next)
{
    struct spec_core *changed = begin(now, core, next);

    if (poll->events != 0) {
        come_back(changed, SPEC_BY_EVENT, poll->events);
    } else if (poll->killed) {
        come_back(changed, SPEC_BY_KILL, 0);
    } else if (poll->late) {
        come_back(changed, SPEC_BY_DEADLINE, 0);
    }
}

void core_returned_spec(const struct spec_guests *now, uint32_t core, struct spec_guests *next)
{
    struct spec_core *changed = begin(now, core, next);

    changed->phase = SPEC_OUTSIDE;
}
