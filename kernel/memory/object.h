// SPDX-License-Identifier: MIT
// Kernel objects that handles name: one page each, charged to a container, with counted references.
// The last reference given up frees the page. Any CPU; no lock.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct object { // first in the struct of the object
    _Atomic uint32_t references;
    uint32_t container;                     // what the page is charged to
    void (*destroy)(struct object *object); // gives back what the object holds; null: nothing
};

// Makes an object out of a zeroed page of `container`, with `references`. Null: quota or memory is
// short.
void *object_create(uint32_t container, uint32_t references,
                    void (*destroy)(struct object *object));

// Frees an object to which nobody has a reference.
void object_destroy(struct object *object);

// Takes and gives up a reference.
/*@
  requires \valid(&object->references);
  terminates \true;
  assigns object->references;
  ensures object->references == (uint32_t)(\old(object->references) + 1);
*/
static inline void object_acquire(struct object *object)
{
    atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
}

static inline void object_release(struct object *object)
{
    // Release: what this holder wrote is visible to the one who frees the page.
    if (atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) == 1) {
        object_destroy(object);
    }
}
