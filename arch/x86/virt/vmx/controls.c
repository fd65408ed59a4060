// SPDX-License-Identifier: MIT
// Computes the VMX controls from the capability MSRs, or which bits a processor lacks. Pure; called
// by detect.c and by host tests.
#include "arch/x86/virt/vmx/controls.h"

// In the order of VM_LACKS_PIN to VM_LACKS_ENTRY.
enum control_word { WORD_PIN, WORD_PRIMARY, WORD_SECONDARY, WORD_EXIT, WORD_ENTRY, WORD_COUNT };
static_assert(VM_LACKS_PIN + WORD_ENTRY == VM_LACKS_ENTRY, "one lack for each word");

static const struct {
    uint32_t required; // must be 1
    uint32_t optional; // 1 where allowed
    uint32_t unwanted; // must be 0
} wishes[WORD_COUNT] = {
    [WORD_PIN] = {.required =
                      PIN_EXTERNAL_INTERRUPT | PIN_NMI | PIN_VIRTUAL_NMI | PIN_PREEMPTION_TIMER},
    [WORD_PRIMARY] = {.required = PRIMARY_TSC_OFFSET | PRIMARY_HLT | PRIMARY_MWAIT | PRIMARY_RDPMC |
                                  PRIMARY_CR8_LOAD | PRIMARY_CR8_STORE | PRIMARY_IO |
                                  PRIMARY_MSR_BITMAP | PRIMARY_MONITOR | PRIMARY_SECONDARY,
                      .unwanted = PRIMARY_INVLPG | PRIMARY_RDTSC | PRIMARY_CR3_LOAD |
                                  PRIMARY_CR3_STORE | PRIMARY_MOV_DR},
    [WORD_SECONDARY] = {.required = SECONDARY_EPT | SECONDARY_VPID | SECONDARY_UNRESTRICTED,
                        .optional = SECONDARY_RDTSCP | SECONDARY_WBINVD | SECONDARY_INVPCID},
    [WORD_EXIT] = {.required = EXIT_SAVE_DEBUG | EXIT_HOST_64 | EXIT_ACKNOWLEDGE_INTERRUPT |
                               EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER},
    [WORD_ENTRY] = {.required = ENTRY_LOAD_DEBUG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER,
                    .unwanted = ENTRY_IA32E}, // set only while the guest is in IA-32e mode
};

// What EPT and VPID must be able to do; one bit of each is enough.
static const uint64_t ept_needs[] = {
    EPT_CAP_WALK_4,
    EPT_CAP_WRITE_BACK,
    EPT_CAP_2M,
    EPT_CAP_INVEPT,
    EPT_CAP_INVEPT_ALL,
    EPT_CAP_INVVPID,
    EPT_CAP_INVVPID_SINGLE | EPT_CAP_INVVPID_ALL,
};

static void lack(struct vm_support *support, enum vm_lack what, uint64_t bits)
{
    if (support->lack == VM_LACKS_NOTHING && bits != 0) {
        support->lack = what;
        support->bits = bits;
    }
}

void vmx_decide(struct vm_support *support, uint64_t feature_control, struct vmx_controls *controls)
{
    const struct vmx_capabilities *found = &support->capabilities;
    const uint64_t words[WORD_COUNT] = {found->pin, found->primary, found->secondary, found->exit,
                                        found->entry};
    uint32_t values[WORD_COUNT];

    if ((feature_control & FEATURE_CONTROL_LOCKED) != 0 &&
        (feature_control & FEATURE_CONTROL_VMX_OUTSIDE_SMX) == 0) {
        lack(support, VM_LACKS_FIRMWARE, feature_control);
    }
    for (uint32_t i = 0; i < WORD_COUNT; i++) {
        uint32_t forced = (uint32_t)words[i];
        uint32_t allowed = (uint32_t)(words[i] >> 32);

        lack(support, VM_LACKS_PIN + i,
             (wishes[i].required & ~allowed) | (wishes[i].unwanted & forced));
        values[i] = forced | wishes[i].required | (wishes[i].optional & allowed);
    }
    for (uint32_t i = 0; i < ARRAY_COUNT(ept_needs); i++) {
        lack(support, VM_LACKS_EPT, (found->ept_vpid & ept_needs[i]) == 0 ? ept_needs[i] : 0);
    }
    *controls =
        (struct vmx_controls){values[WORD_PIN], values[WORD_PRIMARY], values[WORD_SECONDARY],
                              values[WORD_EXIT], values[WORD_ENTRY]};
}
