// SPDX-License-Identifier: MIT
// Dumps a vCPU's VMCS for reports: every field that this processor has, and the capability words
// that an entry checker wants. Reading never faults: fields are chosen by the capability MSRs, and
// a VMREAD that fails leaves its field out. Called for a loaded vCPU by its own thread; no lock.
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/virt/vmx/fields.h"
#include "arch/x86/virt/vmx/vmx.h"

#define FIELD_ROW(name, encoding, text, need) {(encoding), (need)},
static const struct {
    uint16_t encoding;
    uint16_t need;
} fields_known[] = {VMCS_FIELDS(FIELD_ROW)};
#undef FIELD_ROW

static bool field_exists(uint32_t need)
{
    const struct vmx_capabilities *found = vmx_capabilities();
    const uint64_t words[] = {
        [VMCS_NEED_PIN] = found->pin,
        [VMCS_NEED_PRIMARY] = found->primary,
        [VMCS_NEED_SECONDARY] = found->secondary,
        [VMCS_NEED_EXIT] = found->exit,
        [VMCS_NEED_ENTRY] = found->entry,
    };

    if (need == VMCS_ALWAYS) {
        return true;
    }
    return need >> 8 < ARRAY_COUNT(words) && (words[need >> 8] >> (32 + (need & 31)) & 1) != 0;
}

static size_t add(struct vcpu_field *fields, size_t count, size_t capacity, uint32_t encoding,
                  uint64_t value)
{
    if (count < capacity) {
        fields[count] = (struct vcpu_field){.encoding = encoding, .value = value};
        count++;
    }
    return count;
}

static size_t dump_capabilities(struct vcpu_field *fields, size_t count, size_t capacity)
{
    const struct vmx_capabilities *found = vmx_capabilities();
    const struct {
        uint32_t msr;
        uint64_t value;
    } words[] = {
        {MSR_VMX_BASIC, found->basic},
        {MSR_VMX_PINBASED_CONTROLS, found->pin},
        {MSR_VMX_PROCBASED_CONTROLS, found->primary},
        {MSR_VMX_PROCBASED_CONTROLS2, found->secondary},
        {MSR_VMX_EXIT_CONTROLS, found->exit},
        {MSR_VMX_ENTRY_CONTROLS, found->entry},
        {MSR_VMX_MISC, found->misc},
        {MSR_VMX_CR0_FIXED0, found->cr0_fixed0},
        {MSR_VMX_CR0_FIXED1, found->cr0_fixed1},
        {MSR_VMX_CR4_FIXED0, found->cr4_fixed0},
        {MSR_VMX_CR4_FIXED1, found->cr4_fixed1},
        {MSR_VMX_EPT_VPID_CAPABILITY, found->ept_vpid},
    };

    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        count = add(fields, count, capacity, VCPU_FIELD_CAPABILITY(words[i].msr), words[i].value);
    }
    return add(fields, count, capacity, VCPU_FIELD_PHYSICAL_BITS, cpu_features()->physical_bits);
}

// Fields that do not hold what a report wants: the error of the last entry that failed, which a
// failing VMREAD overwrites, and the event that goes with the next entry.
static uint64_t reported(struct virt_vcpu *vcpu, uint32_t encoding, uint64_t value)
{
    switch (encoding) {
    case VMCS_INSTRUCTION_ERROR:
        return vmx_of(vcpu)->instruction_error;
    case VMCS_ENTRY_INTERRUPTION:
        return vcpu->page->event.word;
    case VMCS_ENTRY_ERROR_CODE:
        return vcpu->page->event.error_code;
    case VMCS_ENTRY_INSTRUCTION_LENGTH:
        return vcpu->page->event.instruction_length;
    default:
        return value;
    }
}

size_t vmx_vcpu_dump(struct virt_vcpu *vcpu, struct vcpu_field *fields, size_t capacity)
{
    size_t count = dump_capabilities(fields, 0, capacity);

    for (size_t i = 0; i < ARRAY_COUNT(fields_known); i++) {
        uint64_t value;

        if (!field_exists(fields_known[i].need) ||
            !vmcs_try_read(fields_known[i].encoding, &value)) {
            continue;
        }
        count = add(fields, count, capacity, fields_known[i].encoding,
                    reported(vcpu, fields_known[i].encoding, value));
    }
    return count;
}
