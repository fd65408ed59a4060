// SPDX-License-Identifier: MIT
// What the lock-step test of processes asks for: mostly something that is there.
#include "test/host/lockstep/lockstep.h"
#include "test/host/lockstep/process_world.h"

uint64_t choose_handle(uint32_t process, uint32_t kind)
{
    const struct spec_handles *handles = &spec.processes[process].handles;
    uint64_t number = lockstep_below(SPEC_HANDLES);

    if (lockstep_chance(8)) {
        return lockstep_chance(50) ? number : lockstep_boundary(SPEC_HANDLES);
    }
    uint32_t first = lockstep_chance(90) ? HANDLE_FIRST_PASSED : 0; // else its own two also
    for (uint32_t i = 0; i < SPEC_HANDLES; i++) {
        uint64_t found = (number + i) % SPEC_HANDLES;

        if (found >= first && handles->entries[found].kind == kind) {
            return found;
        }
    }
    return number;
}

uint64_t choose_container(uint32_t process)
{
    struct spec_handle handle;
    uint64_t number = choose_handle(process, SPEC_HANDLE_CONTAINER);

    for (uint32_t i = 0; i < 4 && process_handle_spec(&spec, process, number, SPEC_HANDLE_CONTAINER,
                                                      &handle) != SPEC_ALLOWED;
         i++) {
        number = choose_handle(process, SPEC_HANDLE_CONTAINER);
    }
    return number;
}

uint32_t count_processes(void)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < SPEC_PROCESSES; i++) {
        count += spec.processes[i].exists;
    }
    return count;
}

uint32_t count_threads(uint32_t of)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < SPEC_PROCESS_THREADS; i++) {
        count += spec.threads[i].exists && (of == SPEC_NONE || spec.threads[i].process == of);
    }
    return count;
}

uint64_t choose_pages(uint32_t process, uint64_t number)
{
    const struct spec_handle *handle =
        &spec.processes[process].handles.entries[number % SPEC_HANDLES];
    const struct spec_container *container =
        &spec.containers.slots[handle->value % SPEC_CONTAINERS];
    uint64_t left = container->used ? container->quota - container->usage : 0;

    if (lockstep_chance(process == 0 ? 98 : 75)) {
        return process == 0 ? 30 + lockstep_below(800) : lockstep_below(150);
    }
    return lockstep_chance(50) ? left + lockstep_below(3) - 1 : lockstep_below(40);
}
