// SPDX-License-Identifier: MIT
// The replay (replay.h): what every event has to meet, and the step of each kind.
#include "test/replay/replay.h"
#include <string.h>

void replay_init(struct replay *replay)
{
    memset(replay, 0, sizeof(*replay));
    spec_machine_init(&replay->machine, 1, 0);
    replay->machine.cpus[0].online = false;
    replay->vcpus.count = NAMES_MAXIMUM;
    replay->channels.count = SPEC_CHANNELS;
    replay->channel_locks.count = SPEC_CHANNELS;
    replay->channel_conditions.count = SPEC_CHANNELS;
    replay->locks.count = SPEC_LOCKS - SPEC_CHANNELS;
    replay->conditions.count = SPEC_CONDITIONS - SPEC_LOCKS;
    for (uint32_t i = 0; i < SPEC_CPUS; i++) {
        replay->cpus[i].ended = SPEC_NONE;
        replay->cpus[i].chosen = SPEC_NONE;
    }
}

static_assert(SPEC_LOCKS - SPEC_CHANNELS <= NAMES_MAXIMUM && SPEC_CHANNELS <= NAMES_MAXIMUM &&
                  SPEC_CONDITIONS - SPEC_LOCKS <= NAMES_MAXIMUM,
              "names are enough");

// -- the machine --------------------------------------------------------------------------------

static struct refusal step_boot(struct replay *replay, const struct event_entry *event)
{
    if (replay->booted || event->cpu != 0) {
        return by_words("the log begins once, on CPU 0");
    }
    replay->booted = true;
    return ALLOWED;
}

static struct refusal step_cpu(struct replay *replay, const struct event_entry *event)
{
    struct spec_cpu *cpu = &replay->machine.cpus[event->cpu];

    if (event->object != event->cpu || cpu->online) {
        return by_words("a CPU tells of itself, once");
    }
    if (event->cpu >= replay->machine.cpu_count) {
        replay->machine.cpu_count = event->cpu + 1;
    }
    cpu->online = true;
    cpu->mode = (struct spec_modes){true, true, true, true, true};
    return ALLOWED;
}

static struct refusal step_end(struct replay *replay, const struct event_entry *event)
{
    (void)event;
    replay->over = true;
    return ALLOWED;
}

// -- every event --------------------------------------------------------------------------------

static event_step *const steps[EVENT_KIND_COUNT] = {
    [EVENT_BOOT] = step_boot,
    [EVENT_CPU] = step_cpu,
    [EVENT_END] = step_end,
    [EVENT_WAIT] = step_wait,
    [EVENT_OWN] = step_own,
    [EVENT_RELEASE] = step_release,
    [EVENT_SPAWN] = step_spawn,
    [EVENT_DISCARD] = step_discard,
    [EVENT_EXIT] = step_exit,
    [EVENT_SLEEP] = step_sleep,
    [EVENT_WAKE] = step_wake,
    [EVENT_POST] = step_post,
    [EVENT_TAKE] = step_take,
    [EVENT_KILL] = step_kill,
    [EVENT_CHOOSE] = step_choose,
    [EVENT_WAITED] = step_waited,
    [EVENT_RUN] = step_run,
    [EVENT_EXIT_USER] = step_exit_user,
    [EVENT_START_USER] = step_start_user,
    [EVENT_HOSTOUT] = step_hostout,
    [EVENT_HOSTIN] = step_hostin,
    [EVENT_CHANNEL] = step_channel,
    [EVENT_CHANNEL_END] = step_channel_end,
    [EVENT_CLAIM] = step_claim,
    [EVENT_SEND] = step_send,
    [EVENT_RECEIVE] = step_receive,
    [EVENT_PASS] = step_pass,
    [EVENT_SPLIT] = step_split,
    [EVENT_REVOKE] = step_revoke,
    [EVENT_ALLOC] = step_alloc,
    [EVENT_FREE] = step_free,
    [EVENT_PAGE_FREE] = step_page_free,
};

// Modes change only where the kernel says so: all else is done in the host kernel.
static bool in_host_kernel(const struct replay *replay, const struct event_entry *event)
{
    return event->kind == EVENT_CPU || event->kind == EVENT_EXIT_USER ||
           event->kind == EVENT_HOSTIN ||
           replay_mode(&replay->machine.cpus[event->cpu]) == EVENT_MODE_HOST_KERNEL;
}

static struct refusal check_cpu(const struct replay *replay, const struct event_entry *event)
{
    const struct cpu_note *cpu = &replay->cpus[event->cpu];

    if (event->tsc < cpu->tsc) {
        return by_words("time does not go back on a CPU");
    }
    if (!in_host_kernel(replay, event)) {
        return by_words("the CPU is in the host kernel");
    }
    if (cpu->to_release && (event->kind != EVENT_RELEASE || event->object != cpu->to_release)) {
        return by_words("a sleep is followed by the release of its condition's lock");
    }
    if (replay->machine.cpus[event->cpu].waits_for != SPEC_NONE && event->kind != EVENT_OWN) {
        return by_words("a CPU that waits for a lock does nothing before it owns it");
    }
    if (event->thread != cpu->thread) {
        return same("the thread that runs on this CPU", cpu->thread, event->thread);
    }
    return ALLOWED;
}

static struct refusal check(const struct replay *replay, const struct event_entry *event)
{
    if (event->order != replay->order) {
        return same("events are numbered without gaps: the number", replay->order, event->order);
    }
    if (event->kind >= EVENT_KIND_COUNT || event->cpu >= SPEC_CPUS) {
        return by_words("the kind and the CPU exist");
    }
    if (!replay->booted && event->kind != EVENT_BOOT) {
        return by_words("the log begins with \"boot\"");
    }
    if (replay->over) {
        return by_words("nothing follows \"end\"");
    }
    return check_cpu(replay, event);
}

struct refusal replay_step(struct replay *replay, const struct event_entry *event)
{
    struct refusal refusal = check(replay, event);

    if (is_allowed(&refusal)) {
        refusal = steps[event->kind](replay, event);
    }
    if (is_allowed(&refusal)) {
        replay->cpus[event->cpu].tsc = event->tsc;
        replay->order++;
    }
    return refusal;
}
