// SPDX-License-Identifier: MIT
// Containers made, charged and revoked by several threads at a time, under whichever lock it is
// linked with. What somebody has charged stays until he gives it back; whatever is empty may go at
// any time; and in the end the root has lent and lost nothing.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "kernel/memory/container.h"

#define THREADS 4u
#define ROUNDS  12000u
#define SLOTS   48u // few, so that they are used again at once
#define QUOTA   9000u
#define CHARGES 16u

static struct container_tree tree;

struct storm {
    uint64_t random;
    struct {
        uint32_t id;
        uint64_t pages;
    } charges[CHARGES]; // that this thread has to give back
    uint32_t count;
    uint32_t done[4]; // of each kind
    uint32_t wrong;
};

static uint32_t below(struct storm *storm, uint32_t limit)
{
    storm->random = storm->random * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((storm->random >> 33) % limit);
}

static void give_back(struct storm *storm)
{
    if (storm->count > 0) {
        storm->count--;
        storm->wrong += container_free(&tree, storm->charges[storm->count].id,
                                       storm->charges[storm->count].pages) != STATUS_OK;
    }
}

static void charge(struct storm *storm, uint32_t id, uint64_t pages)
{
    if (storm->count < CHARGES && container_alloc(&tree, id, pages) == STATUS_OK) {
        storm->charges[storm->count].id = id;
        storm->charges[storm->count++].pages = pages;
        storm->done[0]++;
    } else {
        give_back(storm);
    }
}

// A container is never seen half changed.
static void look(struct storm *storm, uint32_t id)
{
    struct container copy = container_get(&tree, id);

    if (copy.used) {
        storm->wrong += copy.usage > copy.quota || copy.children > copy.usage;
        storm->done[1]++;
    }
}

static void step(struct storm *storm)
{
    uint32_t id = below(storm, 1 + below(storm, SLOTS)); // mostly one of the first

    switch (below(storm, 8)) {
    case 0:
    case 1:
        storm->done[2] += container_split(&tree, id, 1 + below(storm, 300)).status == STATUS_OK;
        break;
    case 2:
    case 3:
        charge(storm, id, 1 + below(storm, 10));
        break;
    case 4:
        give_back(storm);
        break;
    case 5:
        storm->done[3] += id != CONTAINER_ROOT && container_revoke(&tree, id) == STATUS_OK;
        break;
    case 6:
        storm->done[3] += id != CONTAINER_ROOT && container_revoke_all(&tree, id) == STATUS_OK;
        break;
    default:
        look(storm, id);
        break;
    }
}

static void *run(void *argument)
{
    struct storm *storm = argument;

    for (uint32_t i = 0; i < ROUNDS; i++) {
        step(storm);
    }
    while (storm->count > 0) {
        give_back(storm);
    }
    return NULL;
}

static void test_storm(void **state)
{
    static struct storm storms[THREADS];
    pthread_t threads[THREADS];
    uint32_t done[4] = {0};

    (void)state;
    container_tree_init(&tree, QUOTA, SLOTS);
    for (uint32_t i = 0; i < THREADS; i++) {
        storms[i].random = i + 1;
        assert_int_equal(pthread_create(&threads[i], NULL, run, &storms[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        for (uint32_t k = 0; k < 4; k++) {
            done[k] += storms[i].done[k];
        }
    }
    for (uint32_t k = 0; k < 4; k++) {
        assert_int_equal(storms[k % THREADS].wrong, 0);
        assert_true(done[k] > ROUNDS / 40);
    }
    for (uint32_t id = 1; id < SLOTS; id++) {
        enum status status = container_revoke_all(&tree, id);

        assert_true(status == STATUS_OK || status == STATUS_NOT_FOUND);
    }
    struct container root = container_get(&tree, CONTAINER_ROOT);
    assert_true(root.used);
    assert_int_equal(root.usage, 0);
    assert_int_equal(root.children, 0);
    assert_int_equal(root.quota, QUOTA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_storm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
