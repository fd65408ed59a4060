// SPDX-License-Identifier: MIT
// Tests that every basic exit reason has one row in the list of exit_reasons.c, and that the
// backend decodes exactly those that it calls possible.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86/virt/vmx/vmx.h"
#include "vmm/config/intercept.h"
#include "vmm/monitor/exit_reasons.h"

// Numbers that the appendix leaves out.
static bool is_reserved(uint32_t reason)
{
    return reason == 35 || reason == 38 || reason == 42 || reason == 71;
}

static void every_reason_has_a_row(void **state)
{
    uint32_t next = 0;

    (void)state;
    for (uint32_t reason = 0; reason < VMX_EXIT_REASON_COUNT; reason++) {
        const struct exit_reason_row *row = &exit_reasons[next];

        if (is_reserved(reason)) {
            assert_int_equal(vmx_exit_row(reason)->kind, EXIT_UNKNOWN);
            continue;
        }
        assert_true(next < EXIT_REASON_ROWS);
        assert_int_equal(row->reason, reason);
        assert_int_equal(row->fate == FATE_IMPOSSIBLE, vmx_exit_row(reason)->kind == EXIT_UNKNOWN);
        assert_true(row->name[0] != '\0' && row->why[0] != '\0');
        next++;
    }
    assert_int_equal(next, EXIT_REASON_ROWS);
}

static void possible_ones_are_exercised_or_say_why_not(void **state)
{
    unsigned exercised = 0;

    (void)state;
    for (uint32_t i = 0; i < EXIT_REASON_ROWS; i++) {
        const struct exit_reason_row *row = &exit_reasons[i];
        struct config_text word = {row->intercept, (uint32_t)strlen(row->intercept)};
        struct config_text unknown;
        uint32_t bits;

        if (word.length > 0) {
            assert_true(config_take_intercepts(word, &bits, &unknown));
        }
        if (row->fate == FATE_IMPOSSIBLE) {
            assert_string_equal(row->bochs, "impossible");
        }
        exercised += row->bochs[0] == '\0';
    }
    assert_true(exercised >= 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_a_row),
        cmocka_unit_test(possible_ones_are_exercised_or_say_why_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
