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

void object_destroy(struct object *object)
{
    if (object->destroy) {
        object->destroy(object);
    }
    memory_free_object(object->container, object);
}
