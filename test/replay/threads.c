// SPDX-License-Identifier: MIT
// Steps of the replay about threads and conditions. The kernel tells of a wake-up apart from what
// called for it; the specification does both at once, so the wake-up is taken out there.
#include "test/replay/replay.h"

uint32_t thread_place(const struct replay *replay, uint64_t number)
{
    uint32_t first = (uint32_t)number % SPEC_THREADS;

    for (uint32_t i = 0; number != 0 && i < SPEC_THREADS; i++) {
        uint32_t place = (first + i) % SPEC_THREADS;

        if (replay->threads[place] == number) {
            return place;
        }
    }
    return SPEC_NONE;
}

static uint32_t free_place(const struct replay *replay, uint64_t number)
{
    uint32_t place = (uint32_t)number % SPEC_THREADS;

    for (uint32_t i = 0; i < SPEC_THREADS && replay->threads[place] != 0; i++) {
        place = (place + 1) % SPEC_THREADS;
    }
    return place;
}

// The thread that the event is about; ended ones have no place any more.
static struct refusal find(const struct replay *replay, uint64_t number, uint32_t *place)
{
    *place = thread_place(replay, number);
    return *place != SPEC_NONE ? ALLOWED : by_words("no such thread lives");
}

static bool has_ended(const struct replay *replay, uint64_t number)
{
    bool spawned = number >= NUMBERS || (replay->spawned[number / 8] >> number % 8 & 1) != 0;

    return number != 0 && spawned && thread_place(replay, number) == SPEC_NONE;
}

struct refusal step_spawn(struct replay *replay, const struct event_entry *event)
{
    uint32_t number = (uint32_t)event->object;
    uint32_t place = free_place(replay, number);
    uint32_t process = event->state ? (uint32_t)(event->state >> 12) & INT32_MAX : SPEC_NONE;

    if (number == 0 || thread_place(replay, number) != SPEC_NONE ||
        (number < NUMBERS && has_ended(replay, number))) {
        return by_words("a thread's number is new");
    }
    enum spec_rule rule =
        thread_spawn_spec(&replay->machine, (uint32_t)event->value, place,
                          (uint32_t)(event->value >> 32), process, 0, &replay->machine);
    if (rule == SPEC_ALLOWED) {
        replay->threads[place] = number;
        replay->spawned[number % NUMBERS / 8] |= (uint8_t)(1u << number % 8);
        if (event->state) { // the log does not say where it starts
            spec_context_fill(&replay->machine, place, 0, 0);
        }
    }
    return by_rule(rule);
}

static void forget(struct replay *replay, uint32_t place)
{
    replay->machine.threads[place].state = SPEC_DEAD;
    (void)thread_free_spec(&replay->machine, place, &replay->machine);
    replay->threads[place] = 0;
    replay->left_by[place] = 0;
}

struct refusal step_discard(struct replay *replay, const struct event_entry *event)
{
    uint32_t place;
    struct refusal refusal = find(replay, event->object, &place);

    if (is_allowed(&refusal)) {
        refusal = same("a thread that is discarded never ran: its state", SPEC_SLEEPING,
                       replay->machine.threads[place].state);
    }
    if (is_allowed(&refusal)) {
        forget(replay, place);
    }
    return refusal;
}

struct refusal step_exit(struct replay *replay, const struct event_entry *event)
{
    uint32_t place = replay->machine.cpus[event->cpu].current;
    enum spec_rule rule = thread_exit_spec(&replay->machine, event->cpu, &replay->machine);

    if (rule == SPEC_ALLOWED) {
        replay->cpus[event->cpu].ended = place;
    }
    return by_rule(rule);
}

// -- sleeping and waking ------------------------------------------------------------------------

struct refusal step_sleep(struct replay *replay, const struct event_entry *event)
{
    uint32_t condition = SPEC_NONE;

    if (event->object) {
        condition = condition_place(replay, event->object, event->value);
        if (condition == SPEC_NONE) {
            return by_words("the condition's lock is known");
        }
        if (spec_condition_lock(&replay->machine, condition) != lock_place(replay, event->value)) {
            return by_words("the lock that is given up is the condition's");
        }
    }
    enum spec_rule rule =
        thread_sleep_spec(&replay->machine, event->cpu, condition, UINT64_MAX, &replay->machine);
    if (rule == SPEC_ALLOWED) {
        replay->cpus[event->cpu].to_release = event->object ? event->value : 0;
    }
    return by_rule(rule);
}

struct refusal step_wake(struct replay *replay, const struct event_entry *event)
{
    uint32_t place;
    struct refusal refusal = find(replay, event->object, &place);

    if (is_allowed(&refusal)) {
        refusal = same("a thread is made ready on its own CPU", replay->machine.threads[place].cpu,
                       event->cpu);
    }
    if (is_allowed(&refusal)) {
        refusal = same("who is made ready was asleep: its state", SPEC_SLEEPING,
                       replay->machine.threads[place].state);
    }
    if (is_allowed(&refusal)) {
        refusal = by_rule(thread_wake_spec(&replay->machine, event->cpu, place, &replay->machine));
    }
    return refusal;
}

struct refusal step_post(struct replay *replay, const struct event_entry *event)
{
    uint32_t place;
    struct refusal refusal = find(replay, event->object, &place);

    if (has_ended(replay, event->object)) {
        return ALLOWED; // told in vain
    }
    if (is_allowed(&refusal) && replay->machine.threads[place].cpu == event->cpu) {
        refusal = by_words("only threads of other CPUs go through a wake queue");
    }
    if (is_allowed(&refusal) && replay->machine.threads[place].queued) {
        refusal = by_words("a thread is in its wake queue once");
    }
    if (is_allowed(&refusal)) {
        refusal = by_rule(thread_wake_spec(&replay->machine, event->cpu, place, &replay->machine));
    }
    return refusal;
}

// A step of the specification that wakes `place` too, without the wake-up.
struct without_wake {
    struct spec_thread *thread;
    struct spec_thread before;
};

static struct without_wake leave_asleep(struct replay *replay, uint32_t place)
{
    struct spec_thread *thread = &replay->machine.threads[place];

    return (struct without_wake){thread, *thread};
}

static void asleep_again(const struct without_wake *kept)
{
    kept->thread->state = kept->before.state;
    kept->thread->turn = kept->before.turn;
    kept->thread->deadline = kept->before.deadline;
}

struct refusal step_take(struct replay *replay, const struct event_entry *event)
{
    uint32_t place;
    struct refusal refusal = find(replay, event->object, &place);

    if (has_ended(replay, event->object)) {
        return ALLOWED;
    }
    if (is_allowed(&refusal)) {
        struct without_wake kept = leave_asleep(replay, place);

        refusal =
            by_rule(message_queue_take_spec(&replay->machine, event->cpu, place, &replay->machine));
        asleep_again(&kept);
    }
    return refusal;
}

struct refusal step_kill(struct replay *replay, const struct event_entry *event)
{
    uint32_t place;
    struct refusal refusal = find(replay, event->object, &place);

    if (has_ended(replay, event->object)) {
        return ALLOWED;
    }
    if (is_allowed(&refusal)) {
        struct without_wake kept = leave_asleep(replay, place);

        refusal = by_rule(thread_kill_spec(&replay->machine, event->cpu, place, &replay->machine));
        asleep_again(&kept);
        kept.thread->queued = kept.before.queued;
    }
    return refusal;
}

// -- conditions ---------------------------------------------------------------------------------

struct refusal step_choose(struct replay *replay, const struct event_entry *event)
{
    uint32_t condition = condition_place(replay, event->object, 0);
    uint32_t place;
    struct refusal refusal = find(replay, event->value, &place);

    if (condition == SPEC_NONE) {
        return by_words("somebody waits on the condition");
    }
    if (!spec_lock_held(&replay->machine, event->cpu,
                        spec_condition_lock(&replay->machine, condition))) {
        return by_words("this CPU holds the condition's lock");
    }
    if (is_allowed(&refusal)) {
        struct without_wake kept = leave_asleep(replay, place);

        refusal = by_rule(
            condition_wake_spec(&replay->machine, event->cpu, condition, place, &replay->machine));
        asleep_again(&kept);
        kept.thread->queued = kept.before.queued;
    }
    if (is_allowed(&refusal) && condition < SPEC_CHANNELS) {
        replay->cpus[event->cpu].chosen = place;
        replay->cpus[event->cpu].chosen_on = event->object;
    }
    return refusal;
}

struct refusal step_waited(struct replay *replay, const struct event_entry *event)
{
    uint32_t current = replay->machine.cpus[event->cpu].current;
    bool chosen = false;

    if (current != SPEC_NONE && replay->machine.threads[current].condition == SPEC_NONE &&
        replay->machine.threads[current].killed) {
        return same("who was killed before it slept was not chosen", 0, event->value);
    }
    if (current != SPEC_NONE && replay->machine.threads[current].chosen != (event->value != 0)) {
        return same("the waiter was chosen", replay->machine.threads[current].chosen, event->value);
    }
    return by_rule(
        condition_wait_end_spec(&replay->machine, event->cpu, &replay->machine, &chosen));
}

struct refusal step_run(struct replay *replay, const struct event_entry *event)
{
    struct cpu_note *note = &replay->cpus[event->cpu];
    uint32_t place = thread_place(replay, event->object);

    if (event->object != 0 && place == SPEC_NONE) {
        return by_words("no such thread lives");
    }
    enum spec_rule rule = thread_switch_spec(&replay->machine, event->cpu, place, &replay->machine);
    if (rule == SPEC_ALLOWED) {
        note->thread = (uint32_t)event->object;
        if (note->ended != SPEC_NONE) {
            forget(replay, note->ended);
            note->ended = SPEC_NONE;
        }
    }
    return by_rule(rule);
}
