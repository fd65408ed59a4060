// SPDX-License-Identifier: MIT
// replay LOG: re-executes a log of the kernel's events on the specification. Status 0: all of it is
// allowed; 1: not, and the first event that is not is named, with the state before it; 2: the log
// cannot be read.
#include <inttypes.h>
#include <string.h>
#include "test/replay/replay.h"

#define CHECK_EVERY 4096u // events between looks at all invariants, which take long
#define SHOWN       12u   // events shown before the refused one

// Replays `count` events. Returns how many were allowed, and why the next one was not. After each
// `every` of them, and at the end, the invariants are looked at.
static size_t run(const struct log *log, size_t count, size_t every, struct replay *replay,
                  struct refusal *refusal)
{
    size_t done = 0;

    replay_init(replay);
    *refusal = ALLOWED;
    while (done < count && !replay->over) {
        *refusal = replay_step(replay, &log->entries[done]);
        if (is_allowed(refusal) && ((done + 1) % every == 0 || done + 1 == count)) {
            const char *words = spec_machine_invariant(&replay->machine);

            *refusal = words ? by_words(words) : ALLOWED;
        }
        if (!is_allowed(refusal)) {
            break;
        }
        done++;
    }
    return done;
}

// Names the first event that is not allowed, which is the one at `at` or, where it broke an
// invariant, one before it.
static int complain(const struct log *log, size_t at, struct replay *replay)
{
    struct refusal refusal;
    struct refusal none;

    at = run(log, at + 1, 1, replay, &refusal);
    (void)run(log, at, log->count, replay, &none); // a refused step may have changed something
    for (size_t i = at > SHOWN ? at - SHOWN : 0; i < at; i++) {
        printf("  ");
        event_print(stdout, &log->entries[i]);
        printf("\n");
    }
    event_print(stdout, &log->entries[at]);
    printf("\n  is not allowed: ");
    refusal_print(stdout, &refusal);
    printf("\nthe state before it:\n");
    replay_print(stdout, replay);
    return 1;
}

// A run that was stopped from outside leaves events of some CPUs unsent: what follows the first gap
// tells nothing.
static void cut_at_gap(struct log *log)
{
    size_t whole = 0;
    bool ended = false;

    for (size_t i = 0; i < log->count; i++) {
        ended = ended || log->entries[i].kind == EVENT_END;
    }
    while (whole < log->count && log->entries[whole].order == whole) {
        whole++;
    }
    if (!ended) {
        printf("the log has no end: the run was stopped; events from %zu on are not looked at\n",
               whole);
        log->count = whole;
    }
}

int main(int count, char **words)
{
    static struct replay replay;
    struct log log;
    struct refusal refusal;

    if (count != 2 || !log_read(words[1], &log)) {
        fprintf(stderr, "usage: replay LOG\n");
        return 2;
    }
    cut_at_gap(&log);
    size_t done = run(&log, log.count, CHECK_EVERY, &replay, &refusal);
    int status = 0;
    if (is_allowed(&refusal)) {
        printf("%zu events, all allowed by the specification\n", done);
    } else {
        status = complain(&log, done, &replay);
    }
    return status;
}
