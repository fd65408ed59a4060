// SPDX-License-Identifier: MIT
// replay LOG: re-executes a log of the kernel's events on the specification, while it is written if
// LOG is a pipe. Status 0: all of it is allowed; 1: not, and the first event that is not is named,
// with the state before it; 2: the log cannot be read.
#include <errno.h>
#include <string.h>
#include "test/replay/replay.h"

#define BLOCK 4096u // events between looks at all invariants, which take long
#define SHOWN 12u   // events shown before the refused one

// A part of the log, behind the last events before it.
static struct {
    struct event_entry entries[SHOWN + BLOCK];
    size_t first; // the oldest one that is there
    size_t count; // from SHOWN on
} part = {.first = SHOWN};

static struct replay replay;
static struct replay before; // the part

// Replays the first `count` events of the part. Returns how many were allowed, and why the next one
// was not. After each `every` of them, and at the end, the invariants are looked at.
static size_t run(size_t count, size_t every, struct refusal *refusal)
{
    size_t done = 0;

    *refusal = ALLOWED;
    while (done < count && !replay.over) {
        *refusal = replay_step(&replay, &part.entries[SHOWN + done]);
        if (is_allowed(refusal) && ((done + 1) % every == 0 || done + 1 == count)) {
            const char *words = spec_machine_invariant(&replay.machine);

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
static void complain(size_t at)
{
    struct refusal refusal;
    struct refusal none;

    replay = before;
    at = run(at + 1, 1, &refusal);
    replay = before; // a refused step may have changed something
    (void)run(at, BLOCK, &none);
    for (size_t i = at > part.first ? at : part.first; i < SHOWN + at; i++) {
        printf("  ");
        event_print(stdout, &part.entries[i]);
        printf("\n");
    }
    event_print(stdout, &part.entries[SHOWN + at]);
    printf("\n  is not allowed: ");
    refusal_print(stdout, &refusal);
    printf("\nthe state before it:\n");
    replay_print(stdout, &replay);
}

// Reads the next part. False when it is not one of entries.
static bool next_part(FILE *file)
{
    size_t kept = part.count < SHOWN ? part.count : SHOWN;

    part.first = SHOWN - kept;
    memmove(&part.entries[part.first], &part.entries[SHOWN + part.count - kept],
            kept * sizeof(struct event_entry));
    size_t bytes = fread(&part.entries[SHOWN], 1, BLOCK * sizeof(struct event_entry), file);
    part.count = bytes / sizeof(struct event_entry);
    return bytes % sizeof(struct event_entry) == 0 && !ferror(file);
}

static int replay_all(FILE *file)
{
    struct refusal refusal = ALLOWED;
    size_t done = 0;

    replay_init(&replay);
    while (next_part(file)) {
        if (part.count == 0 || replay.over) {
            printf(replay.over ? "" : "the log has no end: the run was stopped\n");
            printf("%zu events, all allowed by the specification\n", done);
            return 0;
        }
        before = replay;
        size_t allowed = run(part.count, BLOCK, &refusal);
        done += allowed;
        if (!is_allowed(&refusal)) {
            complain(allowed);
            return 1;
        }
    }
    fprintf(stderr, "the log is damaged\n");
    return 2;
}

int main(int count, char **words)
{
    FILE *file = count == 2 ? fopen(words[1], "rb") : NULL;

    if (!file) {
        fprintf(stderr, "usage: replay LOG%s%s\n", count == 2 ? ": " : "",
                count == 2 ? strerror(errno) : "");
        return 2;
    }
    if (!log_starts(file)) {
        fprintf(stderr, "%s: not a log of events\n", words[1]);
        return 2;
    }
    int status = replay_all(file);
    (void)fclose(file);
    return status;
}
