// SPDX-License-Identifier: MIT
// Computes the VMX controls from the capability MSRs, and says in words what a processor lacks.
// Pure; called by detect.c and by host tests.
#include "arch/x86/virt/vmx/controls.h"

#include "kernel/lib/format.h"
#include "kernel/lib/string.h"

enum control_word { WORD_PIN, WORD_PRIMARY, WORD_SECONDARY, WORD_EXIT, WORD_ENTRY, WORD_COUNT };

static const struct vmx_control_wish wishes[WORD_COUNT] = {
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

static const char *const word_names[WORD_COUNT] = {
    [WORD_PIN] = "pin-based control",
    [WORD_PRIMARY] = "primary processor-based control",
    [WORD_SECONDARY] = "secondary processor-based control",
    [WORD_EXIT] = "VM-exit control",
    [WORD_ENTRY] = "VM-entry control",
};

// Names of the controls that real processors and emulators are known to lack.
static const struct {
    enum control_word word;
    uint32_t bit;
    const char *name;
} bit_names[] = {
    {WORD_PIN, PIN_VIRTUAL_NMI, "virtual NMIs"},
    {WORD_PIN, PIN_PREEMPTION_TIMER, "activate VMX-preemption timer"},
    {WORD_PRIMARY, PRIMARY_MSR_BITMAP, "use MSR bitmaps"},
    {WORD_PRIMARY, PRIMARY_SECONDARY, "activate secondary controls"},
    {WORD_PRIMARY, PRIMARY_CR3_LOAD, "CR3-load exiting off"},
    {WORD_PRIMARY, PRIMARY_CR3_STORE, "CR3-store exiting off"},
    {WORD_SECONDARY, SECONDARY_EPT, "enable EPT"},
    {WORD_SECONDARY, SECONDARY_VPID, "enable VPID"},
    {WORD_SECONDARY, SECONDARY_UNRESTRICTED, "unrestricted guest"},
    {WORD_EXIT, EXIT_SAVE_PAT, "save IA32_PAT"},
    {WORD_EXIT, EXIT_LOAD_PAT, "load IA32_PAT"},
    {WORD_EXIT, EXIT_SAVE_EFER, "save IA32_EFER"},
    {WORD_EXIT, EXIT_LOAD_EFER, "load IA32_EFER"},
    {WORD_ENTRY, ENTRY_LOAD_PAT, "load IA32_PAT"},
    {WORD_ENTRY, ENTRY_LOAD_EFER, "load IA32_EFER"},
};

// What EPT and VPID must be able to do.
static const struct {
    uint64_t any_of; // one of these bits is enough
    const char *name;
} ept_needs[] = {
    {EPT_CAP_WALK_4, "a page-walk length of 4"},
    {EPT_CAP_WRITE_BACK, "write-back paging structures"},
    {EPT_CAP_2M, "2 MiB pages"},
    {EPT_CAP_INVEPT, "INVEPT"},
    {EPT_CAP_INVEPT_ALL, "INVEPT of all contexts"},
    {EPT_CAP_INVVPID, "INVVPID"},
    {EPT_CAP_INVVPID_SINGLE | EPT_CAP_INVVPID_ALL, "a usable type of INVVPID"},
};

#define ADVICE                                                                                     \
    "Gatehouse needs an Intel processor from Westmere (2010) on, Bochs, or QEMU with KVM and "     \
    "nested VMX"

enum status vmx_control_compute(const struct vmx_control_wish *wish, uint64_t capability,
                                uint32_t *value, uint32_t *missing)
{
    uint32_t forced = (uint32_t)capability;
    uint32_t allowed = (uint32_t)(capability >> 32);

    *missing = (wish->required & ~allowed) | (wish->unwanted & forced);
    if (*missing != 0) {
        return STATUS_UNSUPPORTED;
    }
    *value = forced | wish->required | (wish->optional & allowed);
    return STATUS_OK;
}

static const char *bit_name(enum control_word word, uint32_t missing)
{
    for (size_t i = 0; i < ARRAY_COUNT(bit_names); i++) {
        if (bit_names[i].word == word && (bit_names[i].bit & missing) != 0) {
            return bit_names[i].name;
        }
    }
    return "one without a name here";
}

static enum status explain_controls(const struct vmx_capabilities *capabilities,
                                    struct vmx_controls *controls, char *reason, size_t size)
{
    const uint64_t words[WORD_COUNT] = {
        [WORD_PIN] = capabilities->pin,
        [WORD_PRIMARY] = capabilities->primary,
        [WORD_SECONDARY] = capabilities->secondary,
        [WORD_EXIT] = capabilities->exit,
        [WORD_ENTRY] = capabilities->entry,
    };
    uint32_t values[WORD_COUNT];

    for (uint32_t i = 0; i < WORD_COUNT; i++) {
        uint32_t missing;

        if (vmx_control_compute(&wishes[i], words[i], &values[i], &missing) != STATUS_OK) {
            (void)format_text(reason, size,
                              "this processor's VMX lacks the %s \"%s\" (bits 0x%x). " ADVICE ".",
                              word_names[i], bit_name(i, missing), missing);
            return STATUS_UNSUPPORTED;
        }
    }
    *controls =
        (struct vmx_controls){values[WORD_PIN], values[WORD_PRIMARY], values[WORD_SECONDARY],
                              values[WORD_EXIT], values[WORD_ENTRY]};
    return STATUS_OK;
}

static enum status explain_ept(uint64_t ept_vpid, char *reason, size_t size)
{
    for (size_t i = 0; i < ARRAY_COUNT(ept_needs); i++) {
        if ((ept_vpid & ept_needs[i].any_of) == 0) {
            (void)format_text(reason, size, "this processor's EPT and VPID lack %s. " ADVICE ".",
                              ept_needs[i].name);
            return STATUS_UNSUPPORTED;
        }
    }
    return STATUS_OK;
}

static enum status explain_no_vmx(const struct vmx_findings *findings, char *reason, size_t size)
{
    if (findings->hypervisor && strcmp(findings->hypervisor_name, "TCGTCGTCGTCG") == 0) {
        (void)format_text(reason, size,
                          "QEMU's TCG has no VMX: use Bochs (--engine bochs), or QEMU with KVM on "
                          "a host whose kvm_intel module has nested=Y.");
    } else if (findings->hypervisor) {
        (void)format_text(reason, size,
                          "the hypervisor underneath (%s) does not offer VMX: turn nested "
                          "virtualisation on there, or use Bochs (--engine bochs).",
                          findings->hypervisor_name);
    } else {
        (void)format_text(reason, size,
                          "this processor has no VMX (CPUID leaf 1, ECX bit 5). " ADVICE ".");
    }
    return STATUS_UNSUPPORTED;
}

enum status vmx_explain(const struct vmx_findings *findings, struct vmx_controls *controls,
                        char *reason, size_t size)
{
    enum status status;

    if (!findings->cpuid_vmx) {
        return explain_no_vmx(findings, reason, size);
    }
    if (findings->feature_control_exists &&
        (findings->feature_control & FEATURE_CONTROL_LOCKED) != 0 &&
        (findings->feature_control & FEATURE_CONTROL_VMX_OUTSIDE_SMX) == 0) {
        (void)format_text(reason, size,
                          "the firmware has locked VMX off (IA32_FEATURE_CONTROL = 0x%llx): enable "
                          "\"Intel Virtualization Technology\" or \"VMX\" in the firmware's setup "
                          "and power-cycle the machine.",
                          (unsigned long long)findings->feature_control);
        return STATUS_UNSUPPORTED;
    }
    status = explain_controls(&findings->capabilities, controls, reason, size);
    if (status != STATUS_OK) {
        return status;
    }
    return explain_ept(findings->capabilities.ept_vpid, reason, size);
}
