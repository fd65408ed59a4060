// SPDX-License-Identifier: MIT
// The system calls about VMs and vCPUs (guest.h).
#include "test/spec/guest.h"
#include <string.h>

#define CPUID_FLAGS_ALL (SPEC_CPUID_SUBLEAF | SPEC_CPUID_OSXSAVE | SPEC_CPUID_ASK)

static struct spec_guests *begin(const struct spec_guests *now, struct spec_guests *next)
{
    if (next != now) {
        *next = *now;
    }
    return next;
}

uint64_t spec_guests_pages(const struct spec_guests *now)
{
    uint64_t pages = 0;

    for (uint32_t i = 0; i < SPEC_GUESTS; i++) {
        const struct spec_guest *guest = &now->guests[i];

        if (guest->exists) {
            pages += SPEC_GUEST_PAGES + (uint64_t)guest->cores * SPEC_CORE_PAGES + guest->logs;
        }
    }
    return pages;
}

static bool is_handle(const struct spec_guests *now, uint64_t number, uint32_t kind, uint32_t value)
{
    return number < SPEC_HANDLES && now->handles.entries[number].kind == kind &&
           now->handles.entries[number].value == value;
}

const char *spec_guests_invariant(const struct spec_guests *now)
{
    for (uint32_t i = 0; i < SPEC_CORES; i++) {
        const struct spec_core *core = &now->cores[i];

        if (core->exists && !is_handle(now, core->handle, SPEC_HANDLE_CORE, i)) {
            return "a vCPU that can be named is named by its handle";
        }
        if (core->exists && !now->guests[core->guest].exists) {
            return "a vCPU's VM is there";
        }
        if (core->phase != SPEC_OUTSIDE && core->thread == SPEC_NONE) {
            return "a vCPU is run by its thread";
        }
        for (uint32_t k = 0; k < i; k++) {
            if (core->exists && now->cores[k].exists && core->thread != SPEC_NONE &&
                now->cores[k].thread == core->thread) {
                return "a thread has one vCPU";
            }
        }
    }
    return NULL;
}

// -- VMs ------------------------------------------------------------------------------------------

static uint32_t free_guest(const struct spec_guests *now)
{
    uint32_t guest = 0;

    while (now->guests[guest].exists) {
        guest++; // the caller has left one
    }
    return guest;
}

enum spec_rule guest_make_spec(const struct spec_guests *now, uint64_t quota,
                               struct spec_guests *next, uint32_t *number)
{
    if (!now->offered) {
        return GUEST_OFFERED;
    }
    if (quota < SPEC_GUEST_PAGES) {
        return GUEST_QUOTA;
    }
    uint32_t guest = free_guest(now);
    struct spec_handles handles;
    if (handle_add_spec(&now->handles, (struct spec_handle){SPEC_HANDLE_GUEST, guest}, &handles,
                        number) != SPEC_ALLOWED) {
        return GUEST_ROOM;
    }
    begin(now, next)->handles = handles;
    next->guests[guest] = (struct spec_guest){.exists = true};
    return SPEC_ALLOWED;
}

enum spec_rule guest_find_spec(const struct spec_guests *now, uint64_t number, uint32_t *guest)
{
    struct spec_handle handle;
    enum spec_rule rule = handle_get_spec(&now->handles, number, SPEC_HANDLE_GUEST, &handle);

    if (rule != SPEC_ALLOWED) {
        return rule == HANDLE_GET_KIND ? GUEST_KIND : GUEST_FIND;
    }
    *guest = (uint32_t)handle.value;
    return rule;
}

enum spec_rule guest_cpuid_spec(const struct spec_guests *now, uint64_t number, uint64_t quota,
                                bool readable, const struct spec_cpuid *entries, uint64_t count,
                                struct spec_guests *next)
{
    uint32_t guest;
    enum spec_rule rule = guest_find_spec(now, number, &guest);

    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    if (count > SPEC_CPUID_ENTRIES) {
        return CPUID_COUNT;
    }
    if (quota == 0) {
        return CPUID_QUOTA;
    }
    if (!readable) {
        return CPUID_READABLE;
    }
    for (uint64_t i = 0; i < count; i++) {
        if ((entries[i].flags & ~CPUID_FLAGS_ALL) != 0) {
            return CPUID_FLAGS;
        }
    }
    struct spec_guest *changed = &begin(now, next)->guests[guest];
    changed->cpuid_count = (uint32_t)count;
    memcpy(changed->cpuid, entries, count * sizeof(*entries));
    return SPEC_ALLOWED;
}

enum spec_rule guest_msrs_spec(const struct spec_guests *now, uint64_t number, uint64_t first,
                               uint64_t last, uint64_t policy, bool kept)
{
    uint32_t guest;
    enum spec_rule rule = guest_find_spec(now, number, &guest);

    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    if (policy > 1) {
        return MSRS_POLICY;
    }
    if (first > last || last > UINT32_MAX) {
        return MSRS_RANGE;
    }
    return kept ? SPEC_ALLOWED : MSRS_KEPT;
}

enum spec_rule guest_ports_spec(const struct spec_guests *now, uint64_t number, uint64_t first,
                                uint64_t last, uint64_t policy, struct spec_guests *next)
{
    uint32_t guest;
    enum spec_rule rule = guest_find_spec(now, number, &guest);

    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    if (first > last || last > UINT16_MAX || policy > 1) {
        return PORTS_RANGE;
    }
    uint64_t *floating = begin(now, next)->guests[guest].floating;
    for (uint64_t port = first; port <= last; port++) {
        floating[port / 64] &= ~(1ull << port % 64);
        floating[port / 64] |= policy << port % 64;
    }
    return SPEC_ALLOWED;
}

enum spec_rule guest_intercept_spec(const struct spec_guests *now, uint64_t number,
                                    uint64_t intercepts, uint32_t had, struct spec_guests *next,
                                    uint32_t *lacking)
{
    uint32_t guest;
    enum spec_rule rule = guest_find_spec(now, number, &guest);

    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    if (now->guests[guest].cores != 0) {
        return INTERCEPT_BEFORE;
    }
    if (intercepts > UINT32_MAX) {
        return INTERCEPT_RANGE;
    }
    begin(now, next);
    *lacking = (uint32_t)intercepts & ~had;
    if (*lacking == 0) {
        next->guests[guest].intercepts = (uint32_t)intercepts;
    }
    return SPEC_ALLOWED;
}

enum spec_rule guest_statistics_spec(const struct spec_guests *now, uint64_t number, bool writable)
{
    uint32_t guest;
    enum spec_rule rule = guest_find_spec(now, number, &guest);

    return rule != SPEC_ALLOWED || writable ? rule : STATISTICS_WRITE;
}

// -- vCPUs ----------------------------------------------------------------------------------------

// The vCPU of a thread; SPEC_NONE: it has none.
static uint32_t core_of(const struct spec_guests *now, uint32_t thread)
{
    for (uint32_t i = 0; i < SPEC_CORES; i++) {
        if (now->cores[i].exists && now->cores[i].thread == thread) {
            return i;
        }
    }
    return SPEC_NONE;
}

static uint32_t free_core(const struct spec_guests *now)
{
    uint32_t core = 0;

    while (now->cores[core].exists) {
        core++; // the caller has left one
    }
    return core;
}

enum spec_rule core_make_spec(const struct spec_guests *now, uint64_t number, uint64_t quota,
                              bool writable, bool room, uint32_t thread, uint32_t cpu,
                              struct spec_guests *next, uint32_t *made)
{
    uint32_t guest;
    enum spec_rule rule = guest_find_spec(now, number, &guest);

    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    if (!writable) {
        return CORE_WRITE;
    }
    if (core_of(now, thread) != SPEC_NONE) {
        return CORE_ONE;
    }
    if (quota < SPEC_CORE_PAGES) {
        return CORE_QUOTA;
    }
    if (!room) {
        return CORE_SPACE;
    }
    uint32_t core = free_core(now);
    struct spec_handles handles;
    if (handle_add_spec(&now->handles, (struct spec_handle){SPEC_HANDLE_CORE, core}, &handles,
                        made) != SPEC_ALLOWED) {
        return CORE_ROOM;
    }
    begin(now, next)->handles = handles;
    next->cores[core] = (struct spec_core){.exists = true,
                                           .guest = guest,
                                           .index = next->guests[guest].cores++,
                                           .thread = thread,
                                           .cpu = cpu,
                                           .handle = *made};
    return SPEC_ALLOWED;
}

enum spec_rule core_find_spec(const struct spec_guests *now, uint32_t thread, uint64_t number,
                              uint32_t *core)
{
    uint32_t own = core_of(now, thread);

    if (number >= SPEC_HANDLES || now->handles.entries[number].kind == 0) {
        return CORE_FIND;
    }
    if (own == SPEC_NONE || now->cores[own].handle != number) {
        return CORE_OWN;
    }
    *core = own;
    return SPEC_ALLOWED;
}

enum spec_rule core_read_spec(const struct spec_guests *now, uint32_t thread, uint64_t number,
                              bool known, bool writable)
{
    uint32_t core;
    enum spec_rule rule = core_find_spec(now, thread, number, &core);

    if (rule != SPEC_ALLOWED) {
        return rule;
    }
    if (!known) {
        return READ_FIELD;
    }
    return writable ? SPEC_ALLOWED : READ_WRITE;
}

enum spec_rule core_log_spec(const struct spec_guests *now, uint32_t thread, uint64_t number,
                             uint64_t quota, bool room, struct spec_guests *next)
{
    uint32_t core;

    if (core_find_spec(now, thread, number, &core) != SPEC_ALLOWED) {
        return LOG_OWN;
    }
    if (now->cores[core].has_log) {
        return LOG_ONCE;
    }
    if (quota == 0) {
        return LOG_QUOTA;
    }
    if (!room) {
        return LOG_SPACE;
    }
    begin(now, next)->cores[core].has_log = true;
    next->guests[next->cores[core].guest].logs++;
    return SPEC_ALLOWED;
}

// -- ends -----------------------------------------------------------------------------------------

// A VM is there while a handle names it or one of its vCPUs.
static void collect(struct spec_guests *next)
{
    for (uint32_t i = 0; i < SPEC_GUESTS; i++) {
        bool named = false;

        for (uint32_t k = 0; k < SPEC_HANDLES; k++) {
            named |= is_handle(next, k, SPEC_HANDLE_GUEST, i);
        }
        for (uint32_t k = 0; k < SPEC_CORES; k++) {
            named |= next->cores[k].exists && next->cores[k].guest == i;
        }
        next->guests[i].exists = named;
    }
}

enum spec_rule guest_close_spec(const struct spec_guests *now, uint32_t cpu, uint64_t number,
                                struct spec_guests *next)
{
    struct spec_handle handle;
    struct spec_handles handles;

    if (number < SPEC_HANDLES_OF_START) {
        return CLOSE_START;
    }
    if (handle_remove_spec(&now->handles, number, &handles, &handle) != SPEC_ALLOWED) {
        return CLOSE_FIND;
    }
    if (handle.kind == SPEC_HANDLE_CORE) {
        const struct spec_core *core = &now->cores[handle.value];

        if (core->thread != SPEC_NONE && core->cpu != cpu) {
            return CLOSE_CPU;
        }
        if (core->phase != SPEC_OUTSIDE) {
            return CLOSE_RUNS;
        }
    }
    begin(now, next)->handles = handles;
    if (handle.kind == SPEC_HANDLE_CORE) {
        next->cores[handle.value] = (struct spec_core){.thread = SPEC_NONE};
    }
    collect(next);
    return SPEC_ALLOWED;
}

void core_thread_ended_spec(const struct spec_guests *now, uint32_t thread,
                            struct spec_guests *next)
{
    uint32_t core = core_of(now, thread);

    begin(now, next);
    if (core != SPEC_NONE) {
        next->cores[core].thread = SPEC_NONE;
        next->cores[core].phase = SPEC_OUTSIDE;
    }
}
