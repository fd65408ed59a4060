// SPDX-License-Identifier: MIT
// Which fields of the VMCS a processor has. See field_dump.h.
#include "vmm/monitor/field_dump.h"

#include "kernel/lib/compiler.h"

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
        {0x480, found->basic},      {0x481, found->pin},        {0x482, found->primary},
        {0x483, found->exit},       {0x484, found->entry},      {0x485, found->misc},
        {0x486, found->cr0_fixed0}, {0x487, found->cr0_fixed1}, {0x488, found->cr4_fixed0},
        {0x489, found->cr4_fixed1}, {0x48b, found->secondary},  {0x48c, found->ept_vpid},
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
