// SPDX-License-Identifier: MIT
// Events, refusals and states in words (replay.h).
#include <inttypes.h>
#include "kernel/abi/syscall.h"
#include "test/replay/replay.h"
#include "test/spec/print.h"

static const char *const names[EVENT_KIND_COUNT] = {
    [EVENT_BOOT] = "boot",
    [EVENT_CPU] = "cpu",
    [EVENT_END] = "end",
    [EVENT_WAIT] = "wait",
    [EVENT_OWN] = "own",
    [EVENT_RELEASE] = "release",
    [EVENT_SPAWN] = "spawn",
    [EVENT_DISCARD] = "discard",
    [EVENT_EXIT] = "exit",
    [EVENT_SLEEP] = "sleep",
    [EVENT_WAKE] = "wake",
    [EVENT_POST] = "post",
    [EVENT_TAKE] = "take",
    [EVENT_KILL] = "kill",
    [EVENT_CHOOSE] = "choose",
    [EVENT_WAITED] = "waited",
    [EVENT_RUN] = "run",
    [EVENT_EXIT_USER] = "exit_user",
    [EVENT_START_USER] = "start_user",
    [EVENT_HOSTOUT] = "hostout",
    [EVENT_HOSTIN] = "hostin",
    [EVENT_CHANNEL] = "channel",
    [EVENT_CHANNEL_END] = "channel_end",
    [EVENT_CLAIM] = "claim",
    [EVENT_SEND] = "send",
    [EVENT_RECEIVE] = "receive",
    [EVENT_PASS] = "pass",
    [EVENT_SPLIT] = "split",
    [EVENT_REVOKE] = "revoke",
    [EVENT_ALLOC] = "alloc",
    [EVENT_FREE] = "free",
    [EVENT_PAGE_FREE] = "page_free",
};

const char *event_name(uint32_t kind)
{
    return kind < EVENT_KIND_COUNT ? names[kind] : "unknown";
}

static void print_word(FILE *out, uint64_t word)
{
    fprintf(out, word < 1u << 20 ? " %" PRIu64 : " 0x%" PRIx64, word);
}

void event_print(FILE *out, const struct event_entry *event)
{
    fprintf(out, "event %" PRIu64 ", CPU %u, thread %" PRIu32 ": %s", event->order, event->cpu,
            event->thread, event_name(event->kind));
    print_word(out, event->object);
    print_word(out, event->value);
    print_word(out, event->state);
}

void refusal_print(FILE *out, const struct refusal *refusal)
{
    if (!refusal->words) {
        spec_rule_print(out, refusal->rule);
        return;
    }
    fputs(refusal->words, out);
    if (refusal->numbers) {
        fprintf(out, " is");
        print_word(out, refusal->expected);
        fprintf(out, " by the specification,");
        print_word(out, refusal->found);
        fprintf(out, " in the log");
    }
}

static void print_names(FILE *out, const char *what, const struct names *names_of, uint32_t first)
{
    for (uint32_t i = 0; i < names_of->used; i++) {
        if (names_of->addresses[i]) {
            fprintf(out, "  %s %" PRIu32 " is 0x%" PRIx64 "\n", what, i + first,
                    names_of->addresses[i]);
        }
    }
}

void replay_print(FILE *out, const struct replay *replay)
{
    spec_machine_print(out, &replay->machine);
    fputs("names in the log:\n", out);
    print_names(out, "channel", &replay->channels, 0);
    print_names(out, "lock", &replay->channel_locks, 0);
    print_names(out, "lock", &replay->locks, SPEC_CHANNELS);
    print_names(out, "condition", &replay->channel_conditions, 0);
    print_names(out, "condition", &replay->conditions, SPEC_LOCKS);
    for (uint32_t i = 0; i < SPEC_THREADS; i++) {
        if (replay->threads[i] && replay->threads[i] != i) {
            fprintf(out, "  thread %" PRIu32 " is number %" PRIu32 "\n", i, replay->threads[i]);
        }
    }
}
