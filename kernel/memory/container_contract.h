// SPDX-License-Identifier: MIT
// What the contracts of container.c are made of: the sums over the children, the invariants of
// container.h, what a call changes; and lemmas about the sums, each a ghost loop that proves it by
// induction. Only proofs read it. Quantifiers stand over plain fields, not over predicates, for the
// provers look for a field that is read to know which slot to look at.
#pragma once

#include "kernel/memory/container.h"

/*@
  predicate container_used{L}(struct container_tree *tree, integer id) =
    0 <= id < CONTAINER_MAXIMUM && tree->slots[id].used != 0;

  // Number and quotas of the children of `parent` among the slots below `end`.
  logic integer container_count{L}(struct container_tree *tree, integer parent, integer end) =
    end <= 1 ? 0 : container_count(tree, parent, end - 1) +
      (tree->slots[end - 1].used != 0 && tree->slots[end - 1].parent == parent ? 1 : 0);
  logic integer container_lent{L}(struct container_tree *tree, integer parent, integer end) =
    end <= 1 ? 0 : container_lent(tree, parent, end - 1) +
      (tree->slots[end - 1].used != 0 && tree->slots[end - 1].parent == parent ?
         tree->slots[end - 1].quota : 0);

  // The invariants above, for each used slot.
  predicate container_usages_valid{L}(struct container_tree *tree) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM && tree->slots[id].used != 0 ==>
      tree->slots[id].lent <= tree->slots[id].usage <= tree->slots[id].quota;
  predicate container_parents_valid{L}(struct container_tree *tree) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM && tree->slots[id].used != 0 ==>
      tree->slots[id].parent < CONTAINER_MAXIMUM &&
      tree->slots[tree->slots[id].parent].used != 0;
  predicate container_depths_valid{L}(struct container_tree *tree) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM && tree->slots[id].used != 0 ==>
      1 <= tree->slots[id].depth <= CONTAINER_DEPTH &&
      (id != CONTAINER_ROOT ==>
         tree->slots[id].depth == tree->slots[tree->slots[id].parent].depth + 1);
  predicate container_sums_valid{L}(struct container_tree *tree) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM && tree->slots[id].used != 0 ==>
      tree->slots[id].children == container_count(tree, id, CONTAINER_MAXIMUM) &&
      tree->slots[id].lent == container_lent(tree, id, CONTAINER_MAXIMUM);

  // The chain of the free slots: each is free, and follows at most one.
  predicate container_is_free{L}(struct container_tree *tree, integer id) =
    CONTAINER_ROOT < id < CONTAINER_MAXIMUM && tree->slots[id].used == 0;
  predicate container_first_free{L}(struct container_tree *tree) =
    tree->free != 0 ==> container_is_free(tree, tree->free);
  predicate container_next_free{L}(struct container_tree *tree) =
    (\forall integer id; 0 < id < CONTAINER_MAXIMUM && tree->slots[id].used == 0 ==>
       tree->slots[id].children < CONTAINER_MAXIMUM) &&
    (\forall integer id, next; 0 < id < CONTAINER_MAXIMUM && tree->slots[id].used == 0 &&
       0 < next < CONTAINER_MAXIMUM && tree->slots[next].used != 0 ==>
       tree->slots[id].children != next);
  predicate container_first_follows_none{L}(struct container_tree *tree) =
    \forall integer id; 0 < id < CONTAINER_MAXIMUM && tree->slots[id].used == 0 &&
      tree->slots[id].children != 0 ==> tree->slots[id].children != tree->free;
  predicate container_next_follows_one{L}(struct container_tree *tree) =
    \forall integer a, b; 0 < a < CONTAINER_MAXIMUM && tree->slots[a].used == 0 &&
      0 < b < CONTAINER_MAXIMUM && tree->slots[b].used == 0 && a != b &&
      tree->slots[a].children != 0 ==> tree->slots[a].children != tree->slots[b].children;
  predicate container_chain_valid{L}(struct container_tree *tree) =
    container_first_free(tree) && container_next_free(tree) &&
    container_first_follows_none(tree) && container_next_follows_one(tree);

  predicate container_tree_valid{L}(struct container_tree *tree) =
    \valid(tree) && container_used(tree, CONTAINER_ROOT) &&
    tree->slots[CONTAINER_ROOT].parent == CONTAINER_ROOT &&
    container_usages_valid(tree) && container_parents_valid(tree) &&
    container_depths_valid(tree) && container_sums_valid(tree) && container_chain_valid(tree);

  // Whether `id` is `ancestor` or below it, as one sees in so many steps.
  predicate container_below{L}(struct container_tree *tree, integer id, integer ancestor,
                               integer steps) =
    id == ancestor || (steps > 1 && id != CONTAINER_ROOT &&
      container_below(tree, tree->slots[id].parent, ancestor, steps - 1));

  // The same in as many steps as it takes to the root; that from A to B nothing came or went there.
  predicate container_in{L}(struct container_tree *tree, integer id, integer top) =
    container_below(tree, id, top, tree->slots[id].depth);
  predicate container_in_same{A, B}(struct container_tree *tree, integer top) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM && \at(tree->slots[id].used, A) != 0 ==>
      (container_in{A}(tree, id, top) <==> container_in{B}(tree, id, top));

  // What an owner of `id` itself uses, its children left out.
  logic integer container_own{L}(struct container_tree *tree, integer id) =
    tree->slots[id].usage - container_lent(tree, id, CONTAINER_MAXIMUM);

  // From A to B only slots `a` and `b` changed, or none.
  predicate container_others_same{A, B}(struct container_tree *tree, integer a, integer b) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM && id != a && id != b ==>
      \at(tree->slots[id].quota, A) == \at(tree->slots[id].quota, B) &&
      \at(tree->slots[id].usage, A) == \at(tree->slots[id].usage, B) &&
      \at(tree->slots[id].lent, A) == \at(tree->slots[id].lent, B) &&
      \at(tree->slots[id].parent, A) == \at(tree->slots[id].parent, B) &&
      \at(tree->slots[id].children, A) == \at(tree->slots[id].children, B) &&
      \at(tree->slots[id].generation, A) == \at(tree->slots[id].generation, B) &&
      \at(tree->slots[id].used, A) == \at(tree->slots[id].used, B) &&
      \at(tree->slots[id].depth, A) == \at(tree->slots[id].depth, B);
  predicate container_all_same{A, B}(struct container_tree *tree) =
    container_others_same{A, B}(tree, -1, -1);

  // From A to B `pages` were added to the usage of `id`, and nothing else changed.
  predicate container_charged{A, B}(struct container_tree *tree, integer id, integer pages) =
    container_others_same{A, B}(tree, id, id) &&
    (0 <= id < CONTAINER_MAXIMUM ==>
       \at(tree->slots[id].usage, B) == \at(tree->slots[id].usage, A) + pages);

  // From A to B the first of the free slots, `id`, became a child of `parent`.
  predicate container_linked{A, B}(struct container_tree *tree, integer parent, integer id,
                                   integer quota) =
    container_others_same{A, B}(tree, parent, id) &&
    \at(tree->free, B) == \at(tree->slots[id].children, A) &&
    \at(tree->slots[id].quota, B) == quota && \at(tree->slots[id].usage, B) == 0 &&
    \at(tree->slots[id].lent, B) == 0 && \at(tree->slots[id].parent, B) == parent &&
    \at(tree->slots[id].children, B) == 0 && \at(tree->slots[id].used, B) == 1 &&
    \at(tree->slots[id].generation, B) == (uint32_t)(\at(tree->slots[id].generation, A) + 1) &&
    \at(tree->slots[id].depth, B) == \at(tree->slots[parent].depth, A) + 1 &&
    \at(tree->slots[parent].quota, B) == \at(tree->slots[parent].quota, A) &&
    \at(tree->slots[parent].usage, B) == \at(tree->slots[parent].usage, A) + quota &&
    \at(tree->slots[parent].lent, B) == \at(tree->slots[parent].lent, A) + quota &&
    \at(tree->slots[parent].parent, B) == \at(tree->slots[parent].parent, A) &&
    \at(tree->slots[parent].children, B) == \at(tree->slots[parent].children, A) + 1 &&
    \at(tree->slots[parent].generation, B) == \at(tree->slots[parent].generation, A) &&
    \at(tree->slots[parent].used, B) == \at(tree->slots[parent].used, A) &&
    \at(tree->slots[parent].depth, B) == \at(tree->slots[parent].depth, A);

  // From A to B `id`, a child of `parent`, became the first of the free slots.
  predicate container_unlinked{A, B}(struct container_tree *tree, integer parent, integer id) =
    container_others_same{A, B}(tree, parent, id) &&
    \at(tree->free, B) == id &&
    \at(tree->slots[id].children, B) == \at(tree->free, A) &&
    \at(tree->slots[id].used, B) == 0 &&
    \at(tree->slots[id].generation, B) == \at(tree->slots[id].generation, A) &&
    \at(tree->slots[id].quota, B) == \at(tree->slots[id].quota, A) &&
    \at(tree->slots[id].usage, B) == \at(tree->slots[id].usage, A) &&
    \at(tree->slots[id].lent, B) == \at(tree->slots[id].lent, A) &&
    \at(tree->slots[id].parent, B) == \at(tree->slots[id].parent, A) &&
    \at(tree->slots[id].depth, B) == \at(tree->slots[id].depth, A) &&
    \at(tree->slots[parent].quota, B) == \at(tree->slots[parent].quota, A) &&
    \at(tree->slots[parent].usage, B) ==
      \at(tree->slots[parent].usage, A) - \at(tree->slots[id].quota, A) &&
    \at(tree->slots[parent].lent, B) ==
      \at(tree->slots[parent].lent, A) - \at(tree->slots[id].quota, A) &&
    \at(tree->slots[parent].parent, B) == \at(tree->slots[parent].parent, A) &&
    \at(tree->slots[parent].children, B) == \at(tree->slots[parent].children, A) - 1 &&
    \at(tree->slots[parent].generation, B) == \at(tree->slots[parent].generation, A) &&
    \at(tree->slots[parent].used, B) == \at(tree->slots[parent].used, A) &&
    \at(tree->slots[parent].depth, B) == \at(tree->slots[parent].depth, A);

  // From A to B containers below `top` were ended, to which nothing was charged, and `top` was not:
  // where all are stays; what those that are left use themselves is the same; who was ended; and
  // what is not below `top` has not changed.
  predicate container_places_same{A, B}(struct container_tree *tree) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM ==>
      \at(tree->slots[id].parent, A) == \at(tree->slots[id].parent, B) &&
      \at(tree->slots[id].depth, A) == \at(tree->slots[id].depth, B) &&
      \at(tree->slots[id].quota, A) == \at(tree->slots[id].quota, B) &&
      \at(tree->slots[id].generation, A) == \at(tree->slots[id].generation, B);
  predicate container_own_same{A, B}(struct container_tree *tree) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM && \at(tree->slots[id].used, A) != 0 ==>
      \at(tree->slots[id].usage, A) - \at(tree->slots[id].lent, A) ==
        \at(tree->slots[id].usage, B) - \at(tree->slots[id].lent, B);
  predicate container_only_empty_ended{A, B}(struct container_tree *tree, integer top) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM &&
      \at(tree->slots[id].used, A) != \at(tree->slots[id].used, B) ==>
      \at(tree->slots[id].used, A) != 0 && \at(tree->slots[id].used, B) == 0 && id != top &&
      \at(tree->slots[id].usage, A) == \at(tree->slots[id].lent, A) &&
      container_in{A}(tree, id, top);
  predicate container_rest_same{A, B}(struct container_tree *tree, integer top) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM &&
      (\at(tree->slots[id].used, A) == 0 || !container_in{A}(tree, id, top)) ==>
      \at(tree->slots[id].usage, A) == \at(tree->slots[id].usage, B) &&
      \at(tree->slots[id].lent, A) == \at(tree->slots[id].lent, B) &&
      \at(tree->slots[id].children, A) == \at(tree->slots[id].children, B);
  predicate container_ended{A, B}(struct container_tree *tree, integer top) =
    container_places_same{A, B}(tree) && container_own_same{A, B}(tree) &&
    container_only_empty_ended{A, B}(tree, top) && container_rest_same{A, B}(tree, top);

  // Nothing below `top` could be ended now.
  predicate container_none_empty{L}(struct container_tree *tree, integer top) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM && tree->slots[id].used != 0 && id != top &&
      container_in(tree, id, top) ==> tree->slots[id].usage != 0 || tree->slots[id].children != 0;

  // From A to B `top` was ended and all below it, none of which used anything itself; the parent of
  // `top` has its quota back.
  predicate container_all_ended{A, B}(struct container_tree *tree, integer top, integer parent) =
    (\forall integer id; 0 <= id < CONTAINER_MAXIMUM && \at(tree->slots[id].used, A) != 0 &&
       container_in{A}(tree, id, top) ==> \at(tree->slots[id].used, B) == 0 &&
       \at(tree->slots[id].usage, A) == \at(tree->slots[id].lent, A)) &&
    (\forall integer id; 0 <= id < CONTAINER_MAXIMUM && id != parent &&
       (\at(tree->slots[id].used, A) == 0 || !container_in{A}(tree, id, top)) ==>
       \at(tree->slots[id].used, A) == \at(tree->slots[id].used, B) &&
       \at(tree->slots[id].usage, A) == \at(tree->slots[id].usage, B) &&
       \at(tree->slots[id].lent, A) == \at(tree->slots[id].lent, B) &&
       \at(tree->slots[id].children, A) == \at(tree->slots[id].children, B)) &&
    container_places_same{A, B}(tree) &&
    \at(tree->slots[parent].used, B) == \at(tree->slots[parent].used, A) &&
    \at(tree->slots[parent].usage, B) ==
      \at(tree->slots[parent].usage, A) - \at(tree->slots[top].quota, A) &&
    \at(tree->slots[parent].lent, B) ==
      \at(tree->slots[parent].lent, A) - \at(tree->slots[top].quota, A) &&
    \at(tree->slots[parent].children, B) == \at(tree->slots[parent].children, A) - 1;

  // What the slots below `end` say about the children of all, where child `id` of `parent` came
  // (change = 1), went (-1) or neither did (0).
  predicate container_counts{A, B}(struct container_tree *tree, integer end, integer id,
                                   integer parent, integer change) =
    \forall integer p; 0 <= p < CONTAINER_MAXIMUM ==>
      container_count{B}(tree, p, end) == container_count{A}(tree, p, end) +
        ((id < end && p == parent) ? change : 0);
  predicate container_loans{A, B}(struct container_tree *tree, integer end, integer id,
                                  integer parent, integer change) =
    \forall integer p; 0 <= p < CONTAINER_MAXIMUM ==>
      container_lent{B}(tree, p, end) == container_lent{A}(tree, p, end) +
        ((id < end && p == parent) ? change : 0);
*/

// A ghost loop that goes through the slots for what became of the sums of `tree` since label A:
// child `id` of `parent` came or went with so many pages; or nothing became of them.
// clang-format off
#define CONTAINER_SUMS(A, id, parent, change, pages)                                               \
    /@ loop invariant 0 <= end <= CONTAINER_MAXIMUM;                                               \
       loop invariant container_counts{A, Here}(tree, end, id, parent, change);                    \
       loop invariant container_loans{A, Here}(tree, end, id, parent, pages);                      \
       loop assigns end;                                                                           \
       loop variant CONTAINER_MAXIMUM - end; @/                                                    \
    for (uint32_t end = 0; end < CONTAINER_MAXIMUM; end++) {}
#define CONTAINER_SUMS_KEPT(A) CONTAINER_SUMS(A, 0, 0, 0, 0)

// The same for what is below `top`, where no parent has changed since label A.
#define CONTAINER_BELOW_KEPT(A, top)                                                               \
    /@ loop invariant 0 <= steps <= CONTAINER_DEPTH + 1;                                           \
       loop invariant \forall integer one, n; 0 <= n < steps && 0 <= one < CONTAINER_MAXIMUM &&    \
         \at(tree->slots[one].used, A) != 0 ==>                                                    \
         (container_below{A}(tree, one, top, n) <==> container_below{Here}(tree, one, top, n));    \
       loop assigns steps;                                                                         \
       loop variant CONTAINER_DEPTH - steps; @/                                                    \
    for (uint32_t steps = 0; steps <= CONTAINER_DEPTH; steps++) {}
// clang-format on

/*@
  ghost
  /@
    requires container_tree_valid(tree) && 0 <= parent < CONTAINER_MAXIMUM;
    terminates \true;
    assigns \nothing;
    ensures 0 <= container_count(tree, parent, CONTAINER_MAXIMUM) < CONTAINER_MAXIMUM;
  @/
  void container_count_fits(struct container_tree *tree, uint32_t parent)
  {
      /@
        loop invariant 1 <= end <= CONTAINER_MAXIMUM;
        loop invariant 0 <= container_count(tree, parent, end) < end;
        loop assigns end;
        loop variant CONTAINER_MAXIMUM - end;
      @/
      for (uint32_t end = 1; end < CONTAINER_MAXIMUM; end++) {
      }
  }
*/

/*@
  ghost
  /@
    requires container_tree_valid(tree) && container_is_free(tree, parent);
    terminates \true;
    assigns \nothing;
    ensures container_count(tree, parent, CONTAINER_MAXIMUM) == 0;
    ensures container_lent(tree, parent, CONTAINER_MAXIMUM) == 0;
  @/
  void container_free_has_none(struct container_tree *tree, uint32_t parent)
  {
      /@
        loop invariant 1 <= end <= CONTAINER_MAXIMUM;
        loop invariant container_count(tree, parent, end) == 0;
        loop invariant container_lent(tree, parent, end) == 0;
        loop assigns end;
        loop variant CONTAINER_MAXIMUM - end;
      @/
      for (uint32_t end = 1; end < CONTAINER_MAXIMUM; end++) {
      }
  }
*/

/*@
  ghost
  /@
    requires container_tree_valid(tree) && 0 <= parent < CONTAINER_MAXIMUM;
    requires 0 < id < CONTAINER_MAXIMUM && tree->slots[id].used != 0;
    requires tree->slots[id].parent == parent;
    terminates \true;
    assigns \nothing;
    ensures container_count(tree, parent, CONTAINER_MAXIMUM) >= 1;
    ensures container_lent(tree, parent, CONTAINER_MAXIMUM) >= tree->slots[id].quota;
  @/
  void container_child_counts(struct container_tree *tree, uint32_t parent, uint32_t id)
  {
      /@
        loop invariant 1 <= end <= CONTAINER_MAXIMUM;
        loop invariant container_count(tree, parent, end) >= (id < end ? 1 : 0);
        loop invariant container_lent(tree, parent, end) >= (id < end ? tree->slots[id].quota : 0);
        loop assigns end;
        loop variant CONTAINER_MAXIMUM - end;
      @/
      for (uint32_t end = 1; end < CONTAINER_MAXIMUM; end++) {
      }
  }
*/

/*@
  ghost
  /@
    requires \valid(tree) && container_count(tree, parent, CONTAINER_MAXIMUM) == 0;
    terminates \true;
    assigns \nothing;
    ensures \forall integer i; 0 < i < CONTAINER_MAXIMUM && tree->slots[i].used != 0 ==>
      tree->slots[i].parent != parent;
  @/
  void container_none_has_none(struct container_tree *tree, uint32_t parent)
  {
      /@
        loop invariant 1 <= end <= CONTAINER_MAXIMUM;
        loop invariant container_count(tree, parent, end) >= 0;
        loop invariant container_count(tree, parent, end) == 0 ==>
          \forall integer i; 0 < i < end && tree->slots[i].used != 0 ==>
            tree->slots[i].parent != parent;
        loop assigns end;
        loop variant CONTAINER_MAXIMUM - end;
      @/
      for (uint32_t end = 1; end < CONTAINER_MAXIMUM; end++) {
      }
  }
*/

/*@
  ghost
  /@
    requires container_tree_valid(tree) && container_used(tree, top);
    terminates \true;
    assigns \nothing;
    ensures \forall integer id; 0 <= id < CONTAINER_MAXIMUM && tree->slots[id].used != 0 &&
      id != top && container_in(tree, id, top) ==>
      tree->slots[id].depth > tree->slots[top].depth;
  @/
  void container_below_is_deeper(struct container_tree *tree, uint32_t top)
  {
      /@
        loop invariant 0 <= steps <= CONTAINER_DEPTH + 1;
        loop invariant \forall integer id, n; 0 <= n < steps && 0 <= id < CONTAINER_MAXIMUM &&
          tree->slots[id].used != 0 && id != top && container_below(tree, id, top, n) ==>
          tree->slots[id].depth > tree->slots[top].depth;
        loop assigns steps;
        loop variant CONTAINER_DEPTH - steps;
      @/
      for (uint32_t steps = 0; steps <= CONTAINER_DEPTH; steps++) {
      }
  }
*/

/*@
  ghost
  /@
    requires container_tree_valid(tree) && container_used(tree, top);
    requires tree->slots[top].children == 0;
    terminates \true;
    assigns \nothing;
    ensures \forall integer id; 0 <= id < CONTAINER_MAXIMUM && tree->slots[id].used != 0 &&
      id != top ==> !container_in(tree, id, top);
  @/
  void container_childless(struct container_tree *tree, uint32_t top)
  {
      container_none_has_none(tree, top);
      /@
        loop invariant 0 <= steps <= CONTAINER_DEPTH + 1;
        loop invariant \forall integer id, n; 0 <= n < steps && 0 <= id < CONTAINER_MAXIMUM &&
          tree->slots[id].used != 0 && id != top ==> !container_below(tree, id, top, n);
        loop assigns steps;
        loop variant CONTAINER_DEPTH - steps;
      @/
      for (uint32_t steps = 0; steps <= CONTAINER_DEPTH; steps++) {
      }
  }
*/

/*@
  ghost
  /@
    requires \valid(tree);
    terminates \true;
    assigns \nothing;
    ensures \forall integer parent; 0 <= parent < CONTAINER_MAXIMUM &&
      (\forall integer id; 0 < id < CONTAINER_MAXIMUM && tree->slots[id].used != 0 ==>
         tree->slots[id].parent != parent) ==>
      container_count(tree, parent, CONTAINER_MAXIMUM) == 0 &&
      container_lent(tree, parent, CONTAINER_MAXIMUM) == 0;
  @/
  void container_some_is_child(struct container_tree *tree)
  {
      /@
        loop invariant 1 <= end <= CONTAINER_MAXIMUM;
        loop invariant \forall integer parent; 0 <= parent < CONTAINER_MAXIMUM &&
          (\forall integer id; 0 < id < end && tree->slots[id].used != 0 ==>
             tree->slots[id].parent != parent) ==>
          container_count(tree, parent, end) == 0 && container_lent(tree, parent, end) == 0;
        loop assigns end;
        loop variant CONTAINER_MAXIMUM - end;
      @/
      for (uint32_t end = 1; end < CONTAINER_MAXIMUM; end++) {
      }
  }
*/

// Where nothing is charged to `top` and all below it, and nothing below it could be ended, nothing
// is below it: the deepest could be.
/*@
  predicate container_uncharged{L}(struct container_tree *tree, integer top) =
    \forall integer id; 0 <= id < CONTAINER_MAXIMUM && tree->slots[id].used != 0 &&
      container_in(tree, id, top) ==> tree->slots[id].usage == tree->slots[id].lent;
*/
/*@
  ghost
  /@
    requires container_tree_valid(tree) && container_used(tree, top);
    requires container_none_empty(tree, top);
    terminates \true;
    assigns \nothing;
    ensures container_uncharged(tree, top) ==>
      tree->slots[top].children == 0 && tree->slots[top].usage == 0;
  @/
  void container_deepest_is_empty(struct container_tree *tree, uint32_t top)
  {
      container_below_is_deeper(tree, top);
      container_some_is_child(tree);
      /@
        loop invariant 0 <= depth <= CONTAINER_DEPTH;
        loop invariant container_uncharged(tree, top) ==>
          \forall integer id; 0 <= id < CONTAINER_MAXIMUM && tree->slots[id].used != 0 &&
            id != top && container_in(tree, id, top) ==> tree->slots[id].depth <= depth;
        loop assigns depth;
        loop variant depth;
      @/
      for (uint32_t depth = CONTAINER_DEPTH; depth > 0; depth--) {
      }
  }
*/
