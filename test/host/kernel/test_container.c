// SPDX-License-Identifier: MIT
// Tests kernel/memory/container.c: each rule by itself, then long random sequences that check the
// invariants of container.h after every call.
#include "kernel_test.h"
#include <string.h>
#include "kernel/memory/container.h"

static struct container_tree tree;

// The container, all zero when there is none.
static struct container get(uint32_t id)
{
    struct container copy = {0};

    bool found = container_get(&tree, id, &copy);

    assert_int_equal(found, copy.used);
    return copy;
}

static void check_invariants(void)
{
    uint64_t children_quota[CONTAINER_MAXIMUM] = {0};
    uint32_t children[CONTAINER_MAXIMUM] = {0};

    for (uint32_t i = 1; i < CONTAINER_MAXIMUM; i++) {
        const struct container *each = &tree.slots[i];

        if (each->used) {
            assert_true(each->parent < CONTAINER_MAXIMUM && each->parent != i);
            assert_true(tree.slots[each->parent].used);
            children_quota[each->parent] += each->quota;
            children[each->parent]++;
        }
    }
    for (uint32_t i = 0; i < CONTAINER_MAXIMUM; i++) {
        if (tree.slots[i].used) {
            assert_true(tree.slots[i].usage <= tree.slots[i].quota);
            assert_true(children_quota[i] <= tree.slots[i].usage);
            assert_int_equal(children[i], tree.slots[i].children);
        }
    }
}

static void test_split_moves_quota(void **state)
{
    uint32_t child = 77;
    (void)state;

    container_tree_init(&tree, 100);
    assert_int_equal(container_split(&tree, 0, 60, &child), STATUS_OK);
    assert_int_equal(get(0).usage, 60);
    assert_int_equal(get(child).quota, 60);
    assert_int_equal(get(child).usage, 0);
    assert_int_equal(get(child).parent, 0);
    assert_int_equal(get(0).children, 1);
    uint32_t other = 77;
    assert_int_equal(container_split(&tree, 0, 41, &other), STATUS_QUOTA);
    assert_int_equal(container_split(&tree, 0, 0, &other), STATUS_INVALID);
    assert_int_equal(container_split(&tree, 200, 1, &other), STATUS_NOT_FOUND);
    assert_int_equal(container_split(&tree, UINT32_MAX, 1, &other), STATUS_NOT_FOUND);
    assert_int_equal(other, 77);
    check_invariants();
}

static void test_alloc_and_free(void **state)
{
    uint32_t child;
    (void)state;

    container_tree_init(&tree, 100);
    assert_int_equal(container_split(&tree, 0, 10, &child), STATUS_OK);
    assert_true(container_can_consume(&tree, child, 10));
    assert_false(container_can_consume(&tree, child, 11));
    assert_false(container_can_consume(&tree, child, UINT64_MAX));
    assert_int_equal(container_alloc(&tree, child, 10), STATUS_OK);
    assert_int_equal(container_alloc(&tree, child, 1), STATUS_QUOTA);
    assert_int_equal(container_alloc(&tree, child, UINT64_MAX), STATUS_QUOTA);
    assert_int_equal(container_free(&tree, child, 11), STATUS_STATE);
    assert_int_equal(container_free(&tree, child, 10), STATUS_OK);
    assert_int_equal(container_alloc(&tree, 9, 1), STATUS_NOT_FOUND);
    // A child's quota is not the parent's to free.
    assert_int_equal(container_alloc(&tree, 0, 5), STATUS_OK);
    assert_int_equal(container_free(&tree, 0, 6), STATUS_STATE);
    assert_int_equal(container_free(&tree, 0, 5), STATUS_OK);
}

static void test_revoke(void **state)
{
    uint32_t child;
    uint32_t grandchild;
    (void)state;

    container_tree_init(&tree, 100);
    assert_int_equal(container_split(&tree, 0, 50, &child), STATUS_OK);
    assert_int_equal(container_split(&tree, child, 20, &grandchild), STATUS_OK);
    uint32_t generation = get(grandchild).generation;
    assert_int_equal(container_revoke(&tree, 0), STATUS_DENIED);
    assert_int_equal(container_revoke(&tree, child), STATUS_BUSY);
    assert_int_equal(container_alloc(&tree, grandchild, 1), STATUS_OK);
    assert_int_equal(container_revoke_all(&tree, child), STATUS_BUSY);
    assert_int_equal(container_free(&tree, grandchild, 1), STATUS_OK);
    assert_int_equal(container_revoke_all(&tree, child), STATUS_OK);
    assert_int_equal(get(0).usage, 0);
    assert_int_equal(get(child).used, 0);
    assert_int_equal(container_split(&tree, 0, 1, &child), STATUS_OK);
    assert_int_equal(container_split(&tree, 0, 1, &grandchild), STATUS_OK);
    assert_true(get(grandchild).generation > generation);
}

static void test_within(void **state)
{
    uint32_t a;
    uint32_t b;
    uint32_t aa;
    (void)state;

    container_tree_init(&tree, 100);
    assert_int_equal(container_split(&tree, 0, 10, &a), STATUS_OK);
    assert_int_equal(container_split(&tree, 0, 10, &b), STATUS_OK);
    assert_int_equal(container_split(&tree, a, 10, &aa), STATUS_OK);
    assert_true(container_is_within(&tree, aa, a));
    assert_true(container_is_within(&tree, aa, 0));
    assert_true(container_is_within(&tree, aa, aa));
    assert_false(container_is_within(&tree, aa, b));
    assert_false(container_is_within(&tree, 0, a));
    assert_false(container_is_within(&tree, 99, 0));
}

static void test_slots_run_out(void **state)
{
    uint32_t child;
    (void)state;

    container_tree_init(&tree, 1000);
    for (uint32_t i = 1; i < CONTAINER_MAXIMUM; i++) {
        assert_int_equal(container_split(&tree, 0, 1, &child), STATUS_OK);
    }
    assert_int_equal(container_split(&tree, 0, 1, &child), STATUS_NO_MEMORY);
    check_invariants();
}

static void test_random(void **state)
{
    uint64_t seed = 1;
    uint64_t refused = 0;
    (void)state;

    container_tree_init(&tree, 5000);
    for (uint32_t i = 0; i < 40000; i++) {
        uint32_t id = next_random(&seed) % 40;
        uint64_t pages = next_random(&seed) % 300;
        uint32_t child;
        struct container_tree before = tree;
        enum status status = STATUS_OK;

        switch (next_random(&seed) % 4) {
        case 0:
            status = container_split(&tree, id, pages, &child);
            break;
        case 1:
            status = container_alloc(&tree, id, pages);
            break;
        case 2:
            status = container_free(&tree, id, pages);
            break;
        default:
            status = container_revoke(&tree, id);
            break;
        }
        if (status != STATUS_OK) {
            refused++;
            assert_memory_equal(before.slots, tree.slots, sizeof(tree.slots));
        }
        check_invariants();
    }
    assert_true(refused > 100 && refused < 39900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split_moves_quota),
        cmocka_unit_test(test_alloc_and_free),
        cmocka_unit_test(test_revoke),
        cmocka_unit_test(test_within),
        cmocka_unit_test(test_slots_run_out),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
