// SPDX-License-Identifier: MIT
// Which fields of the VMCS a processor has. See field_dump.h.
#include "vmm/monitor/field_dump.h"

#include "kernel/lib/compiler.h"
#include "kernel/lib/processor.h"

#define FIELD_ROW(name, encoding, text, need) {(encoding), (need)},
static const struct {
    uint16_t encoding;
    uint16_t need;
} fields_known[] = {VMCS_FIELDS(FIELD_ROW)};
#undef FIELD_ROW

static bool field_exists(const struct vmx_capabilities *found, uint32_t need)
{
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

static size_t dump_capabilities(const struct vmx_capabilities *found, struct vcpu_field *fields,
                                size_t capacity)
{
    const struct {
        uint32_t msr;
        uint64_t value;
    } words[] = {
        {MSR_VMX_BASIC, found->basic},
        {MSR_VMX_PINBASED_CONTROLS, found->pin},
        {MSR_VMX_PROCBASED_CONTROLS, found->primary},
        {MSR_VMX_EXIT_CONTROLS, found->exit},
        {MSR_VMX_ENTRY_CONTROLS, found->entry},
        {MSR_VMX_MISC, found->misc},
        {MSR_VMX_CR0_FIXED0, found->cr0_fixed0},
        {MSR_VMX_CR0_FIXED1, found->cr0_fixed1},
        {MSR_VMX_CR4_FIXED0, found->cr4_fixed0},
        {MSR_VMX_CR4_FIXED1, found->cr4_fixed1},
        {MSR_VMX_PROCBASED_CONTROLS2, found->secondary},
        {MSR_VMX_EPT_VPID_CAPABILITY, found->ept_vpid},
    };
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        count = add(fields, count, capacity, VCPU_FIELD_CAPABILITY(words[i].msr), words[i].value);
    }
    return count;
}

size_t field_dump(const struct vmx_capabilities *capabilities, uint32_t physical_bits,
                  field_reader *read, void *context, struct vcpu_field *fields, size_t capacity)
{
    size_t count = dump_capabilities(capabilities, fields, capacity);

    count = add(fields, count, capacity, VCPU_FIELD_PHYSICAL_BITS, physical_bits);
    for (size_t i = 0; i < ARRAY_COUNT(fields_known); i++) {
        uint64_t value;

        if (field_exists(capabilities, fields_known[i].need) &&
            read(context, fields_known[i].encoding, &value)) {
            count = add(fields, count, capacity, fields_known[i].encoding, value);
        }
    }
    return count;
}
