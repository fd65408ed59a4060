// SPDX-License-Identifier: MIT
// What the contracts say of an exit once it is taken apart, where `when` holds; for proofs only.
// Each of the ways in leave.h, run.c and fast.c promises its part, and vmx_exited all of them.
#pragma once

#include "arch/x86/virt/vmx/contract.h"

// clang-format off

// That the page has these groups and those that the monitor wants.
#define GROUPS_FILLED(when, page, groups)                                                          \
    ensures (when) ==> (page)->valid ==                                                            \
        (VCPU_GROUP_RIP | (((groups) | (page)->wanted) & VCPU_GROUP_ALL));                         \
    ensures (when) && WORD_BIT(((groups) | (page)->wanted), 1) ==>                                 \
        (page)->cr3 == vmcs_fields[VMCS_GUEST_CR3] &&                                              \
        (page)->efer == vmcs_fields[VMCS_GUEST_EFER];                                              \
    ensures (when) && WORD_BIT(((groups) | (page)->wanted), 2) ==>                                 \
        \forall integer i; 0 <= i < SEGMENT_COUNT ==> segment_same(page, i);                       \
    ensures (when) && WORD_BIT(((groups) | (page)->wanted), 3) ==> tables_same(page);              \
    ensures (when) && WORD_BIT(((groups) | (page)->wanted), 5) ==>                                 \
        (page)->dr7 == vmcs_fields[VMCS_GUEST_DR7];

// RIP's group is in the page as it was at the exit. The VMCS is behind the instruction where the
// page says so.
#define STEPPED_OR_NOT(when, page)                                                                 \
    ensures (when) ==>                                                                             \
        rip_of_page(page, \old(vmcs_fields[VMCS_GUEST_RIP]), vmcs_fields[VMCS_GUEST_RSP],          \
                    vmcs_fields[VMCS_GUEST_RFLAGS], vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY]);     \
    ensures (when) ==>                                                                             \
        (page)->exit.instruction_length == vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH];              \
    ensures (when) ==> (page)->exit.advanced == 0 || (page)->exit.advanced == 1;                   \
    ensures (when) ==> vmcs_fields[VMCS_GUEST_RIP] ==                                              \
        ((page)->exit.advanced == 0 ? (page)->rip                                                  \
                                    : (uint64_t)((page)->rip + (page)->exit.instruction_length));

// A port access. Strings, bit 4 of the qualification, and ports without a device, which the kernel
// may answer, are not stepped over.
#define PORT_QUALIFICATION vmcs_fields[VMCS_EXIT_QUALIFICATION]
#define PORT_STRING        WORD_BIT(PORT_QUALIFICATION, 4)
#define PORT_FLOATS(vcpu)                                                                          \
    (\old(port_bit((vcpu)->vm, (uint16_t)(vmcs_fields[VMCS_EXIT_QUALIFICATION] >> 16))) != 0)
#define PORT_TOLD(when, vcpu, page)                                                                \
    ensures (when) ==> (page)->exit.kind == EXIT_PIO &&                                            \
        (page)->exit.hardware_reason == VMX_REASON_IO &&                                           \
        (page)->exit.hardware_qualification == PORT_QUALIFICATION;                                 \
    /* Port and direction; the size is bits 2:0 and one more; string and repeat: bits 4 and 5. */  \
    ensures (when) ==> MOVED_16((page)->exit.words[0], 0, PORT_QUALIFICATION, 16) &&               \
        MOVED_BIT((page)->exit.words[0], 24, PORT_QUALIFICATION, 3) &&                             \
        (WORD_BIT((page)->exit.words[0], 16) <==> (PORT_QUALIFICATION & 7) == 0) &&                \
        (WORD_BIT((page)->exit.words[0], 17) <==> (PORT_QUALIFICATION & 7) == 1) &&                \
        (WORD_BIT((page)->exit.words[0], 18) <==> (PORT_QUALIFICATION & 7) == 3);                  \
    ensures (when) ==> MOVED_BIT((page)->exit.words[0], 32, PORT_QUALIFICATION, 4);                \
    ensures (when) && PORT_STRING ==>                                                              \
        MOVED_BIT((page)->exit.words[0], 40, PORT_QUALIFICATION, 5);                               \
    STEPPED_OR_NOT(when, page)                                                                     \
    ensures (when) && PORT_STRING ==> \result == VIRT_TO_MONITOR && (page)->exit.advanced == 0;    \
    ensures (when) && !PORT_STRING && PORT_FLOATS(vcpu) ==>                                        \
        \result == VIRT_PORT && (page)->exit.advanced == 0;                                        \
    ensures (when) && !PORT_STRING && !PORT_FLOATS(vcpu) ==> \result == VIRT_TO_MONITOR;           \
    ensures (when) && (page)->exit.advanced == 1 ==> ((page)->interruptibility & 3) == 0 &&        \
        ((page)->rflags & \old(vmx_at(vcpu)->obstacles)) == 0;                                     \
    ensures (when) && !PORT_STRING && !PORT_FLOATS(vcpu) &&                                        \
        ((page)->interruptibility & 3) == 0 &&                                                     \
        ((page)->rflags & \old(vmx_at(vcpu)->obstacles)) == 0 ==> (page)->exit.advanced == 1;      \
    ensures (when) && PORT_STRING ==> (page)->valid == (VCPU_GROUP_RIP |                           \
        ((VCPU_GROUP_CONTROL | VCPU_GROUP_SEGMENTS | (page)->wanted) & VCPU_GROUP_ALL));           \
    ensures (when) && !PORT_STRING ==>                                                             \
        (page)->valid == (VCPU_GROUP_RIP | ((page)->wanted & VCPU_GROUP_ALL));

// For asserts: what is written on the way leaves the maps of ports alone.
#define PORT_MAPS_KEPT(vm)                                                                         \
    (\forall integer k; 0 <= k < 512 ==>                                                           \
        (vm)->port_map[0][k] == \at((vm)->port_map[0][k], Pre) &&                                  \
        (vm)->port_map[1][k] == \at((vm)->port_map[1][k], Pre))
#define PORT_PLACES                                                                                \
    (\forall integer port; 0 <= port < 0x10000 ==>                                                 \
        0 <= port / 64 % 512 < 512 && (port / 32768 == 0 || port / 32768 == 1))
#define PORT_BITS_KEPT(vm)                                                                         \
    (\forall integer port; 0 <= port < 0x10000 ==>                                                 \
        port_bit(vm, port) == \at(port_bit(vm, port), Pre))

// A plain instruction, of which nothing is to be known but its length.
#define PLAIN_TOLD(when, vcpu, page, reason)                                                       \
    ensures (when) ==> \result == VIRT_TO_MONITOR;                                                 \
    ensures (when) ==> (page)->exit.kind == vmx_exit_rows[reason].kind &&                          \
        (page)->exit.hardware_reason == (reason) && (page)->exit.hardware_qualification == 0;      \
    STEPPED_OR_NOT(when, page)                                                                     \
    ensures (when) ==> ((page)->exit.advanced == 1 <==> ((page)->interruptibility & 3) == 0 &&     \
        ((page)->rflags & vmx_at(vcpu)->obstacles) == 0);                                          \
    GROUPS_FILLED(when, page, 0)

// What a row of the table says, for an exit with this reason and the outcome `result`.
#define ROW_TOLD(when, page, row, reason)                                                          \
    ensures (when) && (reason) != VMX_REASON_EXCEPTION ==> \result == \old((row).outcome);         \
    ensures (when) && (reason) == VMX_REASON_EXCEPTION ==>                                         \
        exception_leads_to(vmcs_fields[VMCS_EXIT_INTERRUPTION], \result);                          \
    ensures (when) ==> (page)->exit.kind == \old((row).kind) && (page)->exit.advanced == 0;        \
    ensures (when) ==> (page)->exit.hardware_reason == (reason) &&                                 \
        (page)->exit.hardware_qualification == vmcs_fields[VMCS_EXIT_QUALIFICATION];               \
    ensures (when) ==> (page)->exit.instruction_length == 0 || (WORD_BIT(\old((row).needs), 0) &&  \
        (page)->exit.instruction_length == vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH]);             \
    ensures (when) ==> rip_of_page(page, RIP_FIELDS(vmcs_fields));                                 \
    GROUPS_FILLED(when, page, \old((row).groups))                                                  \
    ensures (when) ==> vmcs_fields[VMCS_PML_INDEX] ==                                              \
        (WORD_BIT(\old((row).needs), 4) ? 0 : \old(vmcs_fields[VMCS_PML_INDEX]));                  \
    ensures (when) ==> vmcs_fields[VMCS_TPR_THRESHOLD] ==                                          \
        (WORD_BIT(\old((row).needs), 5) ? 0 : \old(vmcs_fields[VMCS_TPR_THRESHOLD]));

// The row of an exit whose reason's word this is; reasons that have none share the last.
#define ROW_NUMBER(word)                                                                           \
    ((uint16_t)(word) < VMX_EXIT_REASON_COUNT ? (uint16_t)(word) : VMX_EXIT_REASON_COUNT - 1)
#define ROW_OF(word) (vmx_exit_rows[ROW_NUMBER(word)])

// An event whose delivery the exit interrupted, or that was not injected since the entry failed,
// bit 31 of the reason, is the page's again; without one the page has none. An exit that is
// none of a failed entry has left a launched VMCS.
#define VECTORING \old(vmcs_fields[VMCS_VECTORING])
#define EVENT_TOLD(when, vmx, page, why)                                                           \
    ensures (when) && WORD_BIT(why, 31) ==> (page)->event.word == \old((vmx)->event.word);         \
    ensures (when) && WORD_BIT(why, 31) && \old((vmx)->event.word) != 0 ==>                        \
        (page)->event.error_code == \old((vmx)->event.error_code) &&                               \
        (page)->event.instruction_length == \old((vmx)->event.instruction_length);                 \
    ensures (when) && WORD_BIT(why, 31) ==>                                                        \
        (vmx)->frame.launched == \old((vmx)->frame.launched);                                      \
    ensures (when) && !WORD_BIT(why, 31) ==> (vmx)->frame.launched == 1;                           \
    ensures (when) && !WORD_BIT(why, 31) && WORD_BIT(VECTORING, 31) ==>                            \
        (page)->event.word == (VECTORING & ~0x1000);                                               \
    ensures (when) && !WORD_BIT(why, 31) && WORD_BIT(VECTORING, 31) && WORD_BIT(VECTORING, 11) ==> \
        (page)->event.error_code == \old(vmcs_fields[VMCS_VECTORING_ERROR_CODE]);                  \
    ensures (when) && !WORD_BIT(why, 31) && WORD_BIT(VECTORING, 31) &&                             \
        (VECTORING & 0x700) >= 0x400 ==> (page)->event.instruction_length ==                       \
            \old(vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH]);                                       \
    ensures (when) && !WORD_BIT(why, 31) && !WORD_BIT(VECTORING, 31) ==>                           \
        (page)->event.word == 0;

// What is the host's is not told to the monitor: its outcome alone, and an interrupt's vector.
#define HOST_TOLD(when, vcpu, page, row)                                                           \
    ensures (when) ==> \result == \old((row).outcome) && (page)->valid == 0;                       \
    ensures (when) && \old((row).outcome) == VIRT_INTERRUPT ==>                                    \
        (vcpu)->vector == (vmcs_fields[VMCS_EXIT_INTERRUPTION] & 0xff);

// An exit that is finished, or left as it was: the guest is to go on behind its instruction, which
// needed no more than its length, with the timer set to a time that is left; and that is counted.
#define FINISHED(vmx, reason) (vmx_around(vmx)->finished[reason])
#define STEPPED(when, vmx)                                                                         \
    ensures (when) ==> vmcs_fields[VMCS_GUEST_RIP] ==                                              \
        (uint64_t)(\old(vmcs_fields[VMCS_GUEST_RIP]) + vmcs_fields[VMCS_EXIT_INSTRUCTION_LENGTH]); \
    ensures (when) ==> (vmcs_fields[VMCS_GUEST_INTERRUPTIBILITY] & 3) == 0 &&                      \
        (vmcs_fields[VMCS_GUEST_RFLAGS] & (vmx)->obstacles) == 0;                                  \
    ensures (when) ==> \exists uint64_t left; (int64_t)left > 0 &&                                 \
        vmcs_fields[VMCS_PREEMPTION_TIMER] ==                                                      \
            vmcs_kept(VMCS_PREEMPTION_TIMER, left >> (vmx)->timer_shift);
#define NOT_STEPPED(when, vmx)                                                                     \
    ensures (when) ==>                                                                             \
        vmcs_fields[VMCS_GUEST_RIP] == \old(vmcs_fields[VMCS_GUEST_RIP]) &&                        \
        vmcs_fields[VMCS_PREEMPTION_TIMER] == \old(vmcs_fields[VMCS_PREEMPTION_TIMER]);

// The entry of the VM's CPUID table that RAX asks for, if its slot's first is that: a plain one.
#define CPUID_LEAF(vmx)  ((uint32_t)(vmx)->frame.page->gpr[GPR_RAX])
#define CPUID_ENTRY(vmx)                                                                           \
    ((vmx)->cpuid->entries[cpuid_at((vmx)->cpuid->slots[cpuid_slot_of(CPUID_LEAF(vmx))])])
#define CPUID_ANSWERED(when, vmx)                                                                  \
    ensures (when) ==> \old((vmx)->cpuid->slots[cpuid_slot_of(CPUID_LEAF(vmx))]) != 0 &&           \
        \old(CPUID_ENTRY(vmx).leaf) == \old(CPUID_LEAF(vmx)) &&                                    \
        (uint8_t)\old(CPUID_ENTRY(vmx).flags) == 0;                                                \
    ensures (when) ==> (vmx)->frame.page->gpr[GPR_RAX] == \old(CPUID_ENTRY(vmx).eax) &&            \
        (vmx)->frame.page->gpr[GPR_RBX] == \old(CPUID_ENTRY(vmx).ebx) &&                           \
        (vmx)->frame.page->gpr[GPR_RCX] == \old(CPUID_ENTRY(vmx).ecx) &&                           \
        (vmx)->frame.page->gpr[GPR_RDX] == \old(CPUID_ENTRY(vmx).edx);
#define CPUID_LEFT(when, vmx)                                                                      \
    ensures (when) ==> (vmx)->frame.page->gpr[GPR_RAX] == \old((vmx)->frame.page->gpr[GPR_RAX]) && \
        (vmx)->frame.page->gpr[GPR_RBX] == \old((vmx)->frame.page->gpr[GPR_RBX]) &&                \
        (vmx)->frame.page->gpr[GPR_RCX] == \old((vmx)->frame.page->gpr[GPR_RCX]) &&                \
        (vmx)->frame.page->gpr[GPR_RDX] == \old((vmx)->frame.page->gpr[GPR_RDX]);

// The word of an exit's reason, and whether vmx_exited tells it; which way an exit is taken apart
// that is no port access.
#define EXIT_WORD vmcs_fields[VMCS_EXIT_REASON]
#define EXIT_TOLD (\result != VMX_RESUME)
#define EXIT_PLAIN(reason)                                                                         \
    ((reason) != VMX_REASON_IO && (reason) < VMX_EXIT_REASON_COUNT &&                              \
     WORD_BIT(\old(vmx_exit_rows[reason].needs), 6))
#define EXIT_BY_ROW(reason) ((reason) != VMX_REASON_IO && !EXIT_PLAIN(reason))
// clang-format on
