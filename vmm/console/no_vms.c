// SPDX-License-Identifier: MIT
// The words of no_vms.h. Controls are numbered and named as in the manual's "VM-Execution Control
// Fields" and its neighbours.
#include "vmm/console/no_vms.h"

#include "kernel/lib/compiler.h"
#include "kernel/lib/format.h"
#include "kernel/lib/status.h"
#include "kernel/lib/string.h"

#define ADVICE                                                                                     \
    "Gatehouse needs an Intel processor from Westmere (2010) on, Bochs, or QEMU with KVM and "     \
    "nested VMX"

static const char *const word_names[] = {
    [VM_LACKS_PIN] = "VMX lacks the pin-based control",
    [VM_LACKS_PRIMARY] = "VMX lacks the primary processor-based control",
    [VM_LACKS_SECONDARY] = "VMX lacks the secondary processor-based control",
    [VM_LACKS_EXIT] = "VMX lacks the VM-exit control",
    [VM_LACKS_ENTRY] = "VMX lacks the VM-entry control",
    [VM_LACKS_EPT] = "EPT and VPID lack",
};

// Names of what real processors and emulators are known to lack.
static const struct {
    enum vm_lack word;
    uint32_t bit;
    const char *name;
} bit_names[] = {
    {VM_LACKS_PIN, 5, "virtual NMIs"},
    {VM_LACKS_PIN, 6, "activate VMX-preemption timer"},
    {VM_LACKS_PRIMARY, 28, "use MSR bitmaps"},
    {VM_LACKS_PRIMARY, 31, "activate secondary controls"},
    {VM_LACKS_PRIMARY, 15, "CR3-load exiting off"},
    {VM_LACKS_PRIMARY, 16, "CR3-store exiting off"},
    {VM_LACKS_SECONDARY, 1, "enable EPT"},
    {VM_LACKS_SECONDARY, 5, "enable VPID"},
    {VM_LACKS_SECONDARY, 7, "unrestricted guest"},
    {VM_LACKS_EXIT, 18, "save IA32_PAT"},
    {VM_LACKS_EXIT, 19, "load IA32_PAT"},
    {VM_LACKS_EXIT, 20, "save IA32_EFER"},
    {VM_LACKS_EXIT, 21, "load IA32_EFER"},
    {VM_LACKS_ENTRY, 14, "load IA32_PAT"},
    {VM_LACKS_ENTRY, 15, "load IA32_EFER"},
    {VM_LACKS_EPT, 6, "a page-walk length of 4"},
    {VM_LACKS_EPT, 14, "write-back paging structures"},
    {VM_LACKS_EPT, 16, "2 MiB pages"},
    {VM_LACKS_EPT, 20, "INVEPT"},
    {VM_LACKS_EPT, 26, "INVEPT of all contexts"},
    {VM_LACKS_EPT, 32, "INVVPID"},
    {VM_LACKS_EPT, 41, "a usable type of INVVPID"},
};

static const char *bit_name(const struct vm_support *support)
{
    for (size_t i = 0; i < ARRAY_COUNT(bit_names); i++) {
        if (bit_names[i].word == support->lack && (support->bits >> bit_names[i].bit & 1) != 0) {
            return bit_names[i].name;
        }
    }
    return "one without a name here";
}

static void explain_no_vmx(const char *hypervisor, char *text, size_t size)
{
    if (strcmp(hypervisor, "TCGTCGTCGTCG") == 0) {
        (void)format_text(text, size,
                          "QEMU's TCG has no VMX: use Bochs (--engine bochs), or QEMU with KVM on "
                          "a host whose kvm_intel module has nested=Y.");
    } else if (hypervisor[0] != '\0') {
        (void)format_text(text, size,
                          "the hypervisor underneath (%s) does not offer VMX: turn nested "
                          "virtualisation on there, or use Bochs (--engine bochs).",
                          hypervisor);
    } else {
        (void)format_text(text, size,
                          "this processor has no VMX (CPUID leaf 1, ECX bit 5). " ADVICE ".");
    }
}

void no_vms_explain(const struct vm_support *support, const char *hypervisor, char *text,
                    size_t size)
{
    unsigned long long bits = support->bits;

    switch (support->lack) {
    case VM_LACKS_VMX:
        explain_no_vmx(hypervisor, text, size);
        break;
    case VM_LACKS_FIRMWARE:
        (void)format_text(text, size,
                          "the firmware has locked VMX off (IA32_FEATURE_CONTROL = 0x%llx): enable "
                          "\"Intel Virtualization Technology\" or \"VMX\" in the firmware's setup "
                          "and power-cycle the machine.",
                          bits);
        break;
    case VM_LACKS_START:
        (void)format_text(text, size,
                          "VMX could not be turned on (%s): another hypervisor may hold it.",
                          status_name((enum status)bits));
        break;
    default:
        (void)format_text(text, size, "this processor's %s \"%s\" (bits 0x%llx). " ADVICE ".",
                          word_names[support->lack], bit_name(support), bits);
    }
}
