// SPDX-License-Identifier: MIT
// Relations between events (relations.h).
#include "test/replay/relations.h"
#include "kernel/lock/lock.h"

#define BACK 20000u // events that are looked at for what happened before

static const struct event_entry *at(const struct log *log, size_t index)
{
    return &log->entries[index];
}

static bool same_cpu(const struct event_entry *a, const struct event_entry *b)
{
    return a->cpu == b->cpu;
}

// The last event before `index` on the same CPU; null: none.
static const struct event_entry *before_on_cpu(const struct log *log, size_t index)
{
    const struct event_entry *event = at(log, index);

    while (index-- > 0) {
        if (same_cpu(at(log, index), event)) {
            return at(log, index);
        }
    }
    return NULL;
}

static bool is_channel_event(const struct event_entry *event)
{
    return event->kind >= EVENT_CLAIM && event->kind <= EVENT_PASS;
}

static bool is_container_event(const struct event_entry *event)
{
    return event->kind >= EVENT_SPLIT && event->kind <= EVENT_FREE;
}

static bool counts_pages(const struct event_entry *event, uint64_t container)
{
    return (event->kind == EVENT_ALLOC || event->kind == EVENT_FREE) && event->object == container;
}

// The event that made a channel, of which one word of `pick` is `word`; null: none.
static const struct event_entry *channel_with(const struct log *log, size_t index, uint64_t channel,
                                              uint64_t condition)
{
    while (index-- > 0) {
        const struct event_entry *event = at(log, index);

        if (event->kind == EVENT_CHANNEL &&
            ((channel && event->object == channel) || (condition && event->state == condition))) {
            return event;
        }
    }
    return NULL;
}

static bool covers(const struct event_entry *page_free, uint64_t address)
{
    return page_free->kind == EVENT_PAGE_FREE && address - page_free->object < page_free->value;
}

// The lock that guards a condition, as the last sleep there said; 0: nobody slept.
static uint64_t condition_lock(const struct log *log, size_t index, uint64_t condition)
{
    for (size_t i = 0; i < BACK && index-- > 0; i++) {
        if (at(log, index)->kind == EVENT_SLEEP && at(log, index)->object == condition) {
            return at(log, index)->value;
        }
    }
    return 0;
}

// The event needs this lock, of this rank, held by its CPU.
static bool in_lock(const struct log *log, size_t index, uint64_t lock, uint64_t rank)
{
    const struct event_entry *event = at(log, index);

    if (is_channel_event(event)) {
        const struct event_entry *made = channel_with(log, index, event->object, 0);

        return made && made->value == lock;
    }
    if (event->kind == EVENT_SLEEP) {
        return event->object && event->value == lock;
    }
    if (event->kind == EVENT_CHOOSE || event->kind == EVENT_WAITED) {
        return condition_lock(log, index, event->object) == lock;
    }
    return is_container_event(event) && rank == LOCK_CONTAINERS;
}

// The event needs its CPU to hold no lock, or none but its condition's.
static bool without_locks(const struct event_entry *event)
{
    return event->kind == EVENT_RUN || event->kind == EVENT_EXIT || event->kind == EVENT_SLEEP ||
           event->kind == EVENT_START_USER || event->kind == EVENT_HOSTOUT;
}

static bool takes(const struct event_entry *event, uint64_t lock)
{
    return event->kind == EVENT_OWN && event->object == lock;
}

// The rank of a lock, which its owner told.
static uint64_t rank_of(const struct log *log, size_t index, uint64_t lock)
{
    while (index-- > 0) {
        if (takes(at(log, index), lock)) {
            return at(log, index)->state;
        }
    }
    return 0;
}

static bool needs_own(const struct log *log, size_t later, size_t earlier)
{
    const struct event_entry *own = at(log, earlier);
    const struct event_entry *event = at(log, later);
    const struct event_entry *before = before_on_cpu(log, earlier);

    if (event->object == own->object && event->kind == EVENT_RELEASE) {
        return true;
    }
    if (takes(event, own->object)) {
        return own->value != EVENT_NO_TICKET;
    }
    if (!same_cpu(event, own)) {
        return false;
    }
    return (before && before->kind == EVENT_WAIT) || in_lock(log, later, own->object, own->state);
}

static bool needs_release(const struct log *log, size_t later, size_t earlier)
{
    const struct event_entry *release = at(log, earlier);
    const struct event_entry *event = at(log, later);
    const struct event_entry *before = before_on_cpu(log, earlier);

    if (takes(event, release->object) || covers(event, release->object)) {
        return true;
    }
    if (event->kind == EVENT_CHANNEL_END) {
        const struct event_entry *made = channel_with(log, later, event->object, 0);

        return made && made->value == release->object;
    }
    if (!same_cpu(event, release)) {
        return false;
    }
    if ((before && before->kind == EVENT_SLEEP && before->object) || without_locks(event)) {
        return true;
    }
    return (event->kind == EVENT_OWN || event->kind == EVENT_WAIT) &&
           event->state <= rank_of(log, earlier, release->object);
}

static bool runs_idle(const struct event_entry *event, const struct event_entry *other)
{
    return event->kind == EVENT_RUN && event->object == 0 && same_cpu(event, other);
}

static bool needs_of_threads(const struct log *log, size_t later, size_t earlier)
{
    const struct event_entry *event = at(log, later);
    const struct event_entry *before = at(log, earlier);
    uint64_t thread = before->object;

    switch (before->kind) {
    case EVENT_SPAWN:
        return (event->kind == EVENT_WAKE || event->kind == EVENT_RUN ||
                event->kind == EVENT_POST || event->kind == EVENT_KILL ||
                event->kind == EVENT_DISCARD) &&
               event->object == thread;
    case EVENT_EXIT:
        return runs_idle(event, before);
    case EVENT_SLEEP:
        return runs_idle(event, before) ||
               (event->kind == EVENT_WAKE && event->object == before->thread) ||
               (event->kind == EVENT_CHOOSE && event->value == before->thread) ||
               (event->kind == EVENT_WAITED && event->thread == before->thread);
    case EVENT_WAKE:
        return event->kind == EVENT_RUN && event->object == thread;
    case EVENT_POST:
        return event->kind == EVENT_TAKE && event->object == thread;
    case EVENT_TAKE:
        return event->kind == EVENT_POST && event->object == thread;
    case EVENT_CHOOSE:
        if (same_cpu(event, before) &&
            (event->kind == EVENT_RECEIVE || event->kind == EVENT_PASS)) {
            return channel_with(log, later, 0, before->object) != NULL;
        }
        return (event->kind == EVENT_CHOOSE && event->object == before->object) ||
               (event->kind == EVENT_WAITED && event->thread == before->value);
    case EVENT_WAITED:
        return event->kind == EVENT_CHOOSE && event->value == before->thread;
    default:
        return false;
    }
}

static bool needs_of_channels(const struct event_entry *event, const struct event_entry *before)
{
    bool next = is_channel_event(event) && event->object == before->object;

    if (before->kind == EVENT_CHANNEL) {
        return next || (event->kind == EVENT_CHANNEL_END && event->object == before->object);
    }
    if (before->kind == EVENT_CHANNEL_END) {
        return covers(event, before->object);
    }
    return next && !(before->kind == EVENT_PASS && before->state & EVENT_SLOT_BUSY);
}

static bool needs_of_containers(const struct event_entry *event, const struct event_entry *before)
{
    uint64_t id = before->object;

    if (before->kind == EVENT_ALLOC || before->kind == EVENT_FREE) {
        return counts_pages(event, id) ||
               (event->kind == EVENT_REVOKE && event->object == id && before->kind == EVENT_FREE);
    }
    if (counts_pages(event, id) || counts_pages(event, before->state)) {
        return true;
    }
    if (before->kind == EVENT_SPLIT) {
        return (event->kind == EVENT_SPLIT && event->state == id) ||
               (event->kind == EVENT_REVOKE && event->object == id) ||
               (event->kind == EVENT_SPAWN && event->value >> 32 == id);
    }
    return (event->kind == EVENT_SPLIT && event->object == id) ||
           (event->kind == EVENT_REVOKE && event->object == before->state);
}

bool relations_needs(const struct log *log, size_t later, size_t earlier)
{
    const struct event_entry *event = at(log, later);
    const struct event_entry *before = at(log, earlier);

    switch (before->kind) {
    case EVENT_BOOT:
        return true;
    case EVENT_CPU: // the first CPU has done much before it tells of itself
        return event->kind == EVENT_SPAWN ? (uint32_t)event->value == before->cpu
                                          : before->cpu != 0 && same_cpu(event, before);
    case EVENT_EXIT_USER:
    case EVENT_START_USER:
    case EVENT_HOSTOUT:
    case EVENT_HOSTIN:
    case EVENT_RUN:
        return same_cpu(event, before);
    case EVENT_OWN:
        return needs_own(log, later, earlier);
    case EVENT_RELEASE:
        return needs_release(log, later, earlier);
    case EVENT_CHANNEL:
    case EVENT_CHANNEL_END:
    case EVENT_CLAIM:
    case EVENT_SEND:
    case EVENT_RECEIVE:
    case EVENT_PASS:
        return needs_of_channels(event, before);
    case EVENT_SPLIT:
    case EVENT_REVOKE:
    case EVENT_ALLOC:
    case EVENT_FREE:
        return needs_of_containers(event, before);
    default:
        return needs_of_threads(log, later, earlier);
    }
}

// A waiter that was woken by something else sleeps on: who looks at it finds it waiting either way.
static bool sleeps_on(const struct log *log, size_t index)
{
    const struct event_entry *event = at(log, index);

    for (size_t i = 0; i < BACK && event->kind == EVENT_SLEEP && event->object && index-- > 0;
         i++) {
        const struct event_entry *other = at(log, index);

        if (other->thread == event->thread &&
            (other->kind == EVENT_SLEEP || other->kind == EVENT_WAITED)) {
            return other->kind == EVENT_SLEEP && other->object == event->object;
        }
    }
    return false;
}

size_t relations_first_needing(const struct log *log, size_t index, size_t ahead)
{
    for (size_t i = index + 1; i < log->count && i < index + ahead && !sleeps_on(log, index); i++) {
        if (relations_needs(log, i, index)) {
            return i;
        }
    }
    return NOWHERE;
}

static bool has_ended(const struct log *log, size_t index, uint64_t thread)
{
    while (index-- > 0) {
        if (at(log, index)->kind == EVENT_EXIT && at(log, index)->thread == thread) {
            return true;
        }
    }
    return false;
}

bool relations_once_only(const struct log *log, size_t index)
{
    const struct event_entry *event = at(log, index);

    switch (event->kind) {
    case EVENT_KILL:
    case EVENT_PAGE_FREE:
        return false;
    case EVENT_WAITED:
        return event->value != 0;
    case EVENT_POST:
    case EVENT_TAKE:
        return !has_ended(log, index, event->object);
    default:
        return true;
    }
}

bool relations_spoils(const struct log *log, size_t later, size_t earlier)
{
    const struct event_entry *event = at(log, later);
    const struct event_entry *before = at(log, earlier);

    if (!same_cpu(event, before)) {
        return false;
    }
    switch (event->kind) {
    case EVENT_START_USER:
    case EVENT_HOSTOUT:
    case EVENT_RUN:
    case EVENT_WAIT:
        return true; // the CPU is elsewhere, or does nothing any more
    case EVENT_SLEEP:
        return event->object != 0;
    case EVENT_RELEASE:
        return in_lock(log, earlier, event->object, rank_of(log, later, event->object));
    case EVENT_OWN:
        return (before->kind == EVENT_OWN && before->state <= event->state) ||
               without_locks(before);
    default:
        return false;
    }
}
