// SPDX-License-Identifier: MIT
// Counted kernel objects (object.h).
#include "kernel/memory/object.h"
#include <stddef.h>
#include "kernel/memory/memory.h"

void *object_create(uint32_t container, uint32_t references, void (*destroy)(struct object *object))
{
    struct object *object = memory_allocate_object(container);

    if (object) {
        atomic_init(&object->references, references);
        object->container = container;
        object->destroy = destroy;
    }
    return object;
}

void object_acquire(struct object *object)
{
    atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
}

void object_release(struct object *object)
{
    // Release: what this holder wrote is visible to the one who frees the page.
    if (atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) == 1) {
        if (object->destroy) {
            object->destroy(object);
        }
        memory_free_object(object->container, object);
    }
}
