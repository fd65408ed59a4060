// SPDX-License-Identifier: MIT
// Lock-step: kernel/process/handle_table.c and the specification of handle tables.
#include <string.h>
#include "kernel/process/handle_table.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/handle.h"

static struct handle_table table;
static struct handle_table before;
static struct spec_handles spec;

static_assert(SPEC_HANDLES == HANDLE_MAXIMUM, "the same numbers");

static struct spec_handle seen(const struct handle *handle)
{
    return (struct spec_handle){handle->kind, handle->kind != HANDLE_NONE ? handle->value : 0};
}

// Nothing but entry `number` (SPEC_NONE: nothing at all) changed, and all is as specified.
static void only(const char *what, uint32_t number)
{
    struct lockstep_field field = {table.entries, 0};

    if (number != SPEC_NONE) {
        field = (struct lockstep_field)LOCKSTEP_FIELD(table.entries[number]);
    }
    lockstep_only(what, &table, &before, sizeof(table), &field, 1);
    for (uint32_t i = 0; i < HANDLE_MAXIMUM; i++) {
        struct spec_handle handle = seen(&table.entries[i]);

        lockstep_equal("kind", handle.kind, spec.entries[i].kind);
        lockstep_equal("value", handle.value, spec.entries[i].value);
    }
}

static uint64_t any_number(void)
{
    return lockstep_chance(90) ? lockstep_below(HANDLE_MAXIMUM) : lockstep_boundary(HANDLE_MAXIMUM);
}

static void add(void)
{
    struct handle handle = {HANDLE_CONTAINER + lockstep_below(HANDLE_KIND_COUNT - 1),
                            {.value = lockstep_random()}};
    uint32_t number = SPEC_NONE;
    uint32_t expected = SPEC_NONE;

    enum status status = handle_table_add(&table, handle, &number);
    lockstep_same("add", handle_add_spec(&spec, seen(&handle), &spec, &expected), status);
    lockstep_equal("number", number, expected);
    only("add", number);
}

static void get(void)
{
    uint64_t number = any_number();
    enum handle_kind kind = (enum handle_kind)lockstep_below(HANDLE_KIND_COUNT);
    struct handle handle = {HANDLE_NONE, {.value = 77}};
    struct spec_handle expected = {0};

    if (number < HANDLE_MAXIMUM && lockstep_chance(60)) {
        kind = table.entries[number].kind;
    }
    enum status status = handle_table_get(&table, number, kind, &handle);
    lockstep_same("get", handle_get_spec(&spec, number, kind, &expected), status);
    lockstep_equal("kind", handle.kind, expected.kind);
    lockstep_equal("value", handle.value, status == STATUS_OK ? expected.value : 77);
    only("get", SPEC_NONE);
}

static void take_out(void)
{
    uint64_t number = any_number();
    struct handle handle = {HANDLE_NONE, {.value = 77}};
    struct spec_handle expected = {0};

    enum status status = handle_table_remove(&table, number, &handle);
    lockstep_same("remove", handle_remove_spec(&spec, number, &spec, &expected), status);
    lockstep_equal("kind", handle.kind, expected.kind);
    lockstep_equal("value", handle.value, status == STATUS_OK ? expected.value : 77);
    only("remove", status == STATUS_OK ? (uint32_t)number : SPEC_NONE);
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_HANDLE};

    lockstep_begin(argc, argv, "handle tables", 150000);
    for (uint64_t i = 0; lockstep_more(); i++) {
        uint32_t grow = i / 1000 % 2 == 0 ? 60 : 20;

        before = table;
        if (lockstep_chance(30)) {
            get();
        } else if (lockstep_chance(grow)) {
            add();
        } else {
            take_out();
        }
    }
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
