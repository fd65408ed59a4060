// SPDX-License-Identifier: MIT
// User contexts: each refusal leaves them as they were, and pointers are checked.
#include "kernel/thread/user_context.h"
#include <string.h>
#include "arch/x86/paging/layout.h"
#include "test/host/kernel/kernel_test.h"

static struct user_context context;
static struct user_context before;

static void refused(enum status got, enum status want)
{
    assert_int_equal(got, want);
    assert_memory_equal(&context, &before, sizeof(context));
}

static void test_refusals(void **state)
{
    uint64_t value = 7;

    (void)state;
    memset(&context, 0, sizeof(context));
    before = context;
    refused(uctx_get(&context, UCTX_COUNT, &value), STATUS_INVALID);
    refused(uctx_get(&context, UCTX_RDI, &value), STATUS_STATE);
    refused(uctx_set(&context, UCTX_COUNT, 1), STATUS_INVALID);
    refused(uctx_set(&context, UINT32_MAX, 1), STATUS_INVALID);
    refused(uctx_set(&context, UCTX_RIP, 0x1000), STATUS_DENIED);
    refused(uctx_set(&context, UCTX_RSP, 0x1000), STATUS_DENIED);
    refused(uctx_set_pointer(&context, UCTX_RDI, 0x1000), STATUS_INVALID);
    refused(uctx_set_pointer(&context, UCTX_COUNT, 0x1000), STATUS_INVALID);
    refused(uctx_set_pointer(&context, UCTX_RIP, USER_LIMIT), STATUS_INVALID);
    refused(uctx_set_pointer(&context, UCTX_RSP, 1ull << 63), STATUS_INVALID);
    refused(uctx_set_pointer(&context, UCTX_RIP, UINT64_MAX), STATUS_INVALID);
    assert_int_equal(value, 7);
}

static void test_complete(void **state)
{
    uint64_t value = 0;

    (void)state;
    memset(&context, 0, sizeof(context));
    assert_int_equal(uctx_set(&context, UCTX_RDI, UINT64_MAX), STATUS_OK);
    assert_int_equal(uctx_set_pointer(&context, UCTX_RIP, USER_LIMIT - 1), STATUS_OK);
    assert_false(uctx_complete(&context));
    assert_int_equal(uctx_set_pointer(&context, UCTX_RSP, 0), STATUS_OK);
    assert_true(uctx_complete(&context));
    assert_int_equal(uctx_get(&context, UCTX_RIP, &value), STATUS_OK);
    assert_int_equal(value, USER_LIMIT - 1);
    assert_int_equal(uctx_get(&context, UCTX_RDI, &value), STATUS_OK);
    assert_int_equal(value, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
