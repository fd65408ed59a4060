// SPDX-License-Identifier: MIT
// corrupt LOG COUNT [SEED]: does the replay see what is wrong with a log? COUNT times one event of
// a log of a real run, chosen at random, is dropped, doubled or exchanged with the next one, and
// the replay has to refuse the log at the right event: the first that needs what is not there any
// more. relations.h says which that is. Numbers and times are made good, so that nothing but the
// events themselves tells; every tenth time they are left as they were, and already the number is
// refused.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "test/replay/relations.h"
#include "test/replay/replay.h"

#define AHEAD 3000u // events behind the corruption that are looked at

enum corruption { DROP, DOUBLE, SWAP, CORRUPTION_COUNT };

static const char *const corruption_words[] = {"dropped", "doubled", "exchanged with the next"};

struct trial {
    const struct log *log;
    size_t at;
    enum corruption corruption;
    bool numbers_kept;
};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// The event that stands at `place` of the corrupted log; its number and time say so too.
static struct event_entry corrupted(const struct trial *trial, size_t place)
{
    const struct event_entry *entries = trial->log->entries;
    size_t from = place;

    if ((trial->corruption == DROP && place >= trial->at) ||
        (trial->corruption == SWAP && place == trial->at)) {
        from = place + 1;
    } else if ((trial->corruption == DOUBLE && place > trial->at) ||
               (trial->corruption == SWAP && place == trial->at + 1)) {
        from = place - 1;
    }
    struct event_entry entry = entries[from];
    if (!trial->numbers_kept) {
        entry.order = place;
        if (trial->corruption == SWAP && entries[place].cpu == entry.cpu) {
            entry.tsc = entries[place].tsc;
        }
    }
    return entry;
}

// Where the corrupted log has to be refused; NOWHERE: it is another allowed log, for all we say.
static size_t expected(const struct trial *trial)
{
    size_t at = trial->at;

    if (trial->numbers_kept) {
        return trial->corruption == DOUBLE ? at + 1 : at;
    }
    switch (trial->corruption) {
    case DROP: {
        size_t needing = relations_first_needing(trial->log, at, AHEAD);

        return needing == NOWHERE ? NOWHERE : needing - 1;
    }
    case DOUBLE:
        return relations_once_only(trial->log, at) ? at + 1 : NOWHERE;
    case SWAP:
    case CORRUPTION_COUNT:
        break;
    }
    if (relations_needs(trial->log, at + 1, at)) {
        return at;
    }
    return relations_spoils(trial->log, at + 1, at) ? at + 1 : NOWHERE;
}

// Where the replay, which has done the events before the corruption, refuses the log; the end of
// what was looked at if it does not.
static size_t refused_at(const struct trial *trial, const struct replay *before)
{
    static struct replay replay;
    size_t end = trial->at + AHEAD < trial->log->count ? trial->at + AHEAD : trial->log->count - 1;
    size_t place = trial->at;

    replay = *before;
    while (place < end) {
        const struct event_entry entry = corrupted(trial, place);
        const struct refusal refusal = replay_step(&replay, &entry);

        if (!is_allowed(&refusal)) {
            return place;
        }
        place++;
    }
    return place;
}

static int compare(const void *left, const void *right)
{
    const size_t a = *(const size_t *)left;
    const size_t b = *(const size_t *)right;

    return (a > b) - (a < b);
}

static bool try(const struct trial *trial, const struct replay *before, unsigned *refused)
{
    size_t wanted = expected(trial);

    if (wanted == NOWHERE) {
        return true;
    }
    size_t found = refused_at(trial, before);
    ++*refused;
    if (found == wanted) {
        return true;
    }
    const struct event_entry entry = corrupted(trial, wanted);
    printf("this event %s:\n  ", corruption_words[trial->corruption]);
    event_print(stdout, &trial->log->entries[trial->at]);
    printf("\nhas to be seen at event %zu:\n  ", wanted);
    event_print(stdout, &entry);
    printf("\nand was refused at %zu\n", found);
    return false;
}

// Goes through the log once, and tries the corruptions on the way.
static int run(const struct log *log, size_t *places, size_t count, uint64_t seed)
{
    static struct replay replay;
    uint64_t random = seed;
    unsigned refused[CORRUPTION_COUNT] = {0};
    size_t done = 0;

    for (size_t i = 0; i < count; i++) {
        places[i] = next_random(&random) % (log->count - 2);
    }
    qsort(places, count, sizeof(*places), compare);
    replay_init(&replay);
    for (size_t i = 0; i < count; i++) {
        const struct trial trial = {log, places[i], next_random(&random) % CORRUPTION_COUNT,
                                    next_random(&random) % 10 == 0};

        for (; done < trial.at; done++) {
            const struct refusal refusal = replay_step(&replay, &log->entries[done]);

            if (!is_allowed(&refusal)) {
                printf("the log itself is refused at event %zu\n", done);
                return 1;
            }
        }
        if (!try(&trial, &replay, &refused[trial.corruption])) {
            return 1;
        }
    }
    printf("%zu events; refused at the right one: %u dropped, %u doubled, %u exchanged; "
           "%zu corruptions left another log that is allowed; seed %" PRIu64 "\n",
           log->count, refused[DROP], refused[DOUBLE], refused[SWAP],
           count - refused[DROP] - refused[DOUBLE] - refused[SWAP], seed);
    return refused[DROP] && refused[DOUBLE] && refused[SWAP] ? 0 : 1;
}

int main(int count, char **words)
{
    struct log log;

    if (count < 3 || !log_read(words[1], &log) || log.count < 100) {
        fprintf(stderr, "usage: corrupt LOG COUNT [SEED]\n");
        return 2;
    }
    size_t trials = strtoul(words[2], NULL, 0);
    uint64_t seed = count > 3 ? strtoull(words[3], NULL, 0) : 1;
    size_t *places = calloc(trials, sizeof(*places));
    int status = places ? run(&log, places, trials, seed) : 2;

    free(places);
    return status;
}
