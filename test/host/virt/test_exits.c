// SPDX-License-Identifier: MIT
// Tests the table of VM exits and its decoders against the manual's layouts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arch/x86/virt/vmx/vmx.h"

static struct vm_exit decode(struct vmx_raw raw)
{
    struct vm_exit exit;

    memset(&exit, 0xaa, sizeof(exit));
    vmx_decode(&raw, vmx_exit_row((uint16_t)raw.reason), &exit);
    if (exit.kind == EXIT_PIO && exit.pio.string != 0) {
        vmx_decode_string_port(raw.information, &exit);
    }
    return exit;
}

// Reasons that the manual defines and this backend can meet.
static const uint8_t defined[] = {0,  1,  2,  3,  4,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16,
                                  18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
                                  33, 34, 36, 37, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 50,
                                  51, 52, 53, 54, 55, 57, 58, 59, 61, 62, 67, 68};

static void every_reason_has_a_row(void **state)
{
    size_t next = 0;

    (void)state;
    for (uint32_t reason = 0; reason < 200; reason++) {
        const struct vmx_exit_row *row = vmx_exit_row(reason);
        bool known = next < sizeof(defined) && defined[next] == reason;

        assert_non_null(row);
        assert_non_null(row->name);
        assert_int_equal(row->kind == EXIT_UNKNOWN, !known);
        assert_true(row->kind < EXIT_KIND_COUNT && row->outcome < VIRT_OUTCOME_COUNT);
        assert_int_equal(row->groups & ~VCPU_GROUP_ALL, 0);
        // As the contracts of run.c have it (row_is_sound).
        assert_int_not_equal(row->needs & (NEED_ADDRESSES | NEED_INTERRUPTION),
                             NEED_ADDRESSES | NEED_INTERRUPTION);
        next += known;
    }
    assert_int_equal(next, sizeof(defined));
    assert_int_not_equal(vmx_exit_row(VMX_REASON_EXCEPTION)->needs & NEED_INTERRUPTION, 0);
}

static void unknown_reasons_keep_their_words(void **state)
{
    struct vm_exit exit = decode((struct vmx_raw){.reason = 77, .qualification = 5});

    (void)state;
    assert_int_equal(exit.kind, EXIT_UNKNOWN);
    assert_int_equal(exit.hardware_reason, 77);
    assert_int_equal(exit.hardware_qualification, 5);
}

static void port_accesses(void **state)
{
    struct vm_exit exit =
        decode((struct vmx_raw){.reason = 30, .length = 1, .qualification = 0x03f80008});

    (void)state;
    assert_int_equal(exit.kind, EXIT_PIO);
    assert_int_equal(exit.instruction_length, 1);
    assert_int_equal(exit.pio.port, 0x3f8);
    assert_int_equal(exit.pio.size, 1);
    assert_int_equal(exit.pio.in, 1);
    assert_int_equal(exit.pio.string, 0);
    // rep outsd from FS, 64-bit addresses
    exit = decode((struct vmx_raw){
        .reason = 30, .length = 3, .qualification = 0xcf80033, .information = 0x20100});
    assert_int_equal(exit.pio.port, 0xcf8);
    assert_int_equal(exit.pio.size, 4);
    assert_int_equal(exit.pio.in, 0);
    assert_int_equal(exit.pio.string, 1);
    assert_int_equal(exit.pio.repeat, 1);
    assert_int_equal(exit.pio.segment, SEGMENT_FS);
    assert_int_equal(exit.pio.address_size, 8);
    // insb with 16-bit addresses: always to ES
    exit = decode((struct vmx_raw){
        .reason = 30, .length = 1, .qualification = 0x710018, .information = 0x18000});
    assert_int_equal(exit.pio.segment, SEGMENT_ES);
    assert_int_equal(exit.pio.address_size, 2);
}

static void memory_accesses(void **state)
{
    struct vm_exit exit = decode((struct vmx_raw){
        .reason = 48, .length = 9, .qualification = 0x182, .gpa = 0xfee00300, .gva = 0xffff1300});

    (void)state;
    assert_int_equal(exit.kind, EXIT_MEMORY);
    assert_int_equal(vmx_exit_row(48)->needs & NEED_LENGTH, 0); // the manual leaves it undefined
    assert_int_equal(exit.memory.gpa, 0xfee00300);
    assert_int_equal(exit.memory.gva, 0xffff1300);
    assert_int_equal(exit.memory.gva_valid, 1);
    assert_int_equal(exit.memory.read, 0);
    assert_int_equal(exit.memory.write, 1);
    assert_int_equal(exit.memory.in_page_walk, 0);
    // a page walk that reads a paging structure
    exit = decode((struct vmx_raw){.reason = 48, .qualification = 0x81, .gpa = 0x1000});
    assert_int_equal(exit.memory.in_page_walk, 1);
    // no linear address: MOV CR3 in PAE paging
    exit = decode((struct vmx_raw){.reason = 48, .qualification = 0x1, .gva = 0x77});
    assert_int_equal(exit.memory.gva_valid, 0);
    assert_int_equal(exit.memory.gva, 0);
    assert_int_equal(exit.memory.in_page_walk, 0);
}

static void control_and_debug_registers(void **state)
{
    struct vm_exit exit =
        decode((struct vmx_raw){.reason = 28, .length = 3, .qualification = 0x318});

    (void)state;
    assert_int_equal(exit.kind, EXIT_CR);
    assert_int_equal(exit.cr.number, 8);
    assert_int_equal(exit.cr.access, CR_ACCESS_READ);
    assert_int_equal(exit.cr.gpr, GPR_RBX);
    exit = decode((struct vmx_raw){.reason = 28, .length = 3, .qualification = 0x00070030});
    assert_int_equal(exit.cr.access, CR_ACCESS_LMSW);
    assert_int_equal(exit.cr.lmsw_source, 7);
    exit = decode((struct vmx_raw){.reason = 29, .length = 3, .qualification = 0xf16});
    assert_int_equal(exit.dr.number, 6);
    assert_int_equal(exit.dr.read, 1);
    assert_int_equal(exit.dr.gpr, GPR_R15);
}

static void exceptions(void **state)
{
    struct vm_exit exit = decode((struct vmx_raw){.reason = 0,
                                                  .length = 77,
                                                  .qualification = 0xdead000,
                                                  .interruption = 0x80001b0e,
                                                  .error_code = 6});

    (void)state;
    assert_int_equal(exit.kind, EXIT_EXCEPTION);
    assert_int_equal(exit.exception.word, 0x80000b0e); // without "NMI unblocking due to IRET"
    assert_int_equal(exit.exception.error_code, 6);
    assert_int_equal(exit.exception.address, 0xdead000);
    assert_int_equal(exit.instruction_length, 0);
    exit = decode((struct vmx_raw){.reason = 0, .length = 1, .interruption = 0x80000603});
    assert_int_equal(exit.instruction_length, 1); // INT3
}

static void refused_entries(void **state)
{
    struct vm_exit exit = decode((struct vmx_raw){.reason = 0x80000021, .qualification = 4});

    (void)state;
    assert_int_equal(exit.kind, EXIT_ENTRY_REFUSED);
    assert_int_equal(exit.refused.reason, REFUSED_GUEST_STATE);
    assert_int_equal(exit.refused.error, 4);
    exit = decode((struct vmx_raw){.reason = 0x80000022, .qualification = 2});
    assert_int_equal(exit.refused.reason, REFUSED_MSR_LOADING);
    exit = decode((struct vmx_raw){.reason = 0x80000029});
    assert_int_equal(exit.refused.reason, REFUSED_MACHINE_CHECK);
}

static void interrupted_events_are_kept(void **state)
{
    struct vcpu_event event = vmx_reinjection(0x00000b0e, 6, 2);

    (void)state;
    assert_int_equal(event.word, 0); // not valid
    event = vmx_reinjection(0x80000b0e, 6, 2);
    assert_int_equal(event.word, 0x80000b0e);
    assert_int_equal(event.error_code, 6);
    assert_int_equal(event.instruction_length, 0);
    event = vmx_reinjection(0x80000480, 6, 2); // INT 80h
    assert_int_equal(event.word, 0x80000480);
    assert_int_equal(event.error_code, 0);
    assert_int_equal(event.instruction_length, 2);
    event = vmx_reinjection(0x80001202, 0, 0); // NMI with the undefined bit 12
    assert_int_equal(event.word, 0x80000202);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_a_row),
        cmocka_unit_test(unknown_reasons_keep_their_words),
        cmocka_unit_test(port_accesses),
        cmocka_unit_test(memory_accesses),
        cmocka_unit_test(control_and_debug_registers),
        cmocka_unit_test(exceptions),
        cmocka_unit_test(refused_entries),
        cmocka_unit_test(interrupted_events_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
