// SPDX-License-Identifier: MIT
// See system_access.h. Rules: "Segment Descriptors", "System Descriptor Types", "Segment Loading
// Instructions in IA-32e Mode", and the LLDT instruction.
#include "vmm/monitor/system_access.h"

#include "kernel/lib/string.h"
#include "vmm/monitor/event.h"

#define SELECTOR_LOCAL 4u // TI
#define SELECTOR_INDEX 0xfff8u

void system_access_begin(struct system_access *access, struct machine *machine, bool as_supervisor)
{
    struct vcpu_page *page = machine->page;

    memset(access, 0, sizeof(*access));
    access->machine = machine;
    access->emulation = (struct emulation){
        .page = page,
        .operations = &guest_access_operations,
        .context = &machine->access,
        .result = &access->result,
        .mode = (uint8_t)emulate_mode(page),
    };
    guest_access_start(&machine->access, page);
    if (as_supervisor && machine->access.paging.user) {
        machine->access.paging.user = false; // the next start sees that it differs
        for (unsigned i = 0; i < GUEST_PAGE_USES; i++) {
            machine->access.walked[i].access = 0;
        }
    }
}

enum outcome system_access_end(struct system_access *access)
{
    if (access->result.outcome == EMULATE_EXCEPTION) {
        return event_raise_fault(access->machine, &access->result.fault);
    }
    return machine_stop(access->machine, END_UNHANDLED, RUN_UNHANDLED, true,
                        "a system structure of the guest cannot be reached: %s",
                        status_name(access->result.status));
}

bool system_fault(struct system_access *access, unsigned vector, uint32_t error_code)
{
    access->result.outcome = EMULATE_EXCEPTION;
    access->result.fault = (struct emulate_fault){
        .vector = (uint8_t)vector, .has_error_code = true, .error_code = error_code};
    return false;
}

// Outside of IA-32e mode linear addresses have 32 bits.
static gva_t wrapped(const struct system_access *access, uint64_t linear)
{
    return gva(system_is_long(access->machine->page) ? linear : (uint32_t)linear);
}

bool system_read(struct system_access *access, uint64_t linear, uint32_t size, uint64_t *value)
{
    *value = 0;
    return operand_status(&access->emulation,
                          guest_access_operations.read(&access->machine->access,
                                                       wrapped(access, linear), value, size,
                                                       EMULATE_READ, &access->result.fault));
}

bool system_write(struct system_access *access, uint64_t linear, uint32_t size, uint64_t value)
{
    return operand_status(&access->emulation, guest_access_operations.write(
                                                  &access->machine->access, wrapped(access, linear),
                                                  &value, size, &access->result.fault));
}

bool system_probe(struct system_access *access, uint64_t linear, uint32_t size)
{
    return operand_status(
        &access->emulation,
        guest_access_operations.probe(&access->machine->access, wrapped(access, linear), size,
                                      EMULATE_READ | EMULATE_WRITE, &access->result.fault));
}

// -- descriptors ------------------------------------------------------------------------------

// The table that a selector names; false: it has none.
static bool find_table(const struct vcpu_page *page, uint16_t selector, bool global,
                       struct vcpu_table *table)
{
    const struct vcpu_segment *ldt = &page->segment[SEGMENT_LDTR];

    if ((selector & SELECTOR_LOCAL) == 0) {
        *table = page->gdtr;
        return true;
    }
    *table = (struct vcpu_table){.base = ldt->base, .limit = ldt->limit};
    return !global && (ldt->access_rights & SEGMENT_UNUSABLE) == 0;
}

static struct vcpu_segment segment_of(uint16_t selector, uint64_t low, uint64_t high)
{
    struct vcpu_segment segment = {
        .selector = selector,
        .base = (low >> 16 & 0xffffff) | (low >> 32 & 0xff000000) | high << 32,
        .limit = (uint32_t)((low & 0xffff) | (low >> 32 & 0xf0000)),
        .access_rights = (uint32_t)(low >> 40) & RIGHTS_MASK,
    };

    if ((segment.access_rights & RIGHTS_GRANULARITY) != 0) {
        segment.limit = segment.limit << 12 | 0xfff;
    }
    return segment;
}

bool system_descriptor(struct system_access *access, uint16_t selector, bool global, bool wide,
                       unsigned vector, struct descriptor *descriptor)
{
    uint64_t offset = selector & SELECTOR_INDEX;
    struct vcpu_table table;
    uint64_t high = 0;

    if (!find_table(access->machine->page, selector, global, &table) ||
        offset + (wide ? 15 : 7) > table.limit) {
        return system_fault(access, vector, selector & ~3u);
    }
    descriptor->linear = table.base + offset;
    if (!system_read(access, descriptor->linear, 8, &descriptor->low) ||
        (wide && !system_read(access, descriptor->linear + 8, 8, &high))) {
        return false;
    }
    descriptor->segment = segment_of(selector, descriptor->low, high);
    return true;
}

bool system_set_type(struct system_access *access, const struct descriptor *descriptor,
                     uint32_t set, uint32_t clear)
{
    uint64_t rights = descriptor->low >> 40 & 0xff;

    return system_write(access, descriptor->linear + 5, 1, (rights | set) & ~(uint64_t)clear);
}

bool system_load_ldt(struct system_access *access, uint16_t selector, unsigned vector)
{
    struct vcpu_segment *ldt = &access->machine->page->segment[SEGMENT_LDTR];
    struct descriptor descriptor;
    uint32_t rights;

    if ((selector & ~3u) == 0) {
        *ldt = (struct vcpu_segment){.selector = selector, .access_rights = SEGMENT_UNUSABLE};
        return true;
    }
    if (!system_descriptor(access, selector, true, system_is_long(access->machine->page), vector,
                           &descriptor)) {
        return false;
    }
    rights = descriptor.segment.access_rights;
    if ((rights & (RIGHTS_CODE_DATA | RIGHTS_TYPE)) != SYSTEM_LDT) {
        return system_fault(access, vector, selector & ~3u);
    }
    if ((rights & RIGHTS_PRESENT) == 0) {
        return system_fault(access, vector == VECTOR_TASK ? vector : VECTOR_NOT_PRESENT,
                            selector & ~3u);
    }
    *ldt = descriptor.segment;
    return true;
}

// -- operands ---------------------------------------------------------------------------------

#define INFORMATION_NO_INDEX (1u << 22)
#define INFORMATION_NO_BASE  (1u << 27)

struct system_operand system_operand(const struct vcpu_page *page)
{
    uint32_t information = page->exit.instruction.information;
    uint64_t offset = page->exit.instruction.displacement;
    unsigned address_size = information >> 7 & 7;

    if ((information & INFORMATION_NO_BASE) == 0) {
        offset += page->gpr[information >> 23 & 15];
    }
    if ((information & INFORMATION_NO_INDEX) == 0) {
        offset += page->gpr[information >> 18 & 15] << (information & 3);
    }
    offset &= address_size == 0 ? 0xffff : address_size == 1 ? 0xffffffff : UINT64_MAX;
    return (struct system_operand){.segment = information >> 15 & 7, .offset = offset};
}

bool system_operand_linear(struct system_access *access, struct system_operand operand,
                           uint32_t size, uint32_t access_kind, uint64_t *linear)
{
    gva_t address = gva(0);

    if (!operand_linear(&access->emulation, operand.segment, operand.offset, size, access_kind,
                        &address)) {
        return false;
    }
    *linear = address.value;
    return true;
}

#define PREFIX_OPERAND_SIZE 0x66u
#define OPCODE_ESCAPE       0x0fu
#define REX_MASK            0xf0u
#define REX                 0x40u
#define REX_W               8u

bool system_operand_width(struct system_access *access, unsigned *width)
{
    const struct vcpu_page *page = access->machine->page;
    unsigned mode = access->emulation.mode;
    uint64_t code = mode == 64 ? page->rip : page->rip + page->segment[SEGMENT_CS].base;
    bool other = false;
    uint64_t byte = 0;

    *width = mode == 16 ? 2 : 4;
    for (uint32_t i = 0; i < page->exit.instruction_length && byte != OPCODE_ESCAPE; i++) {
        if (!system_read(access, code + i, 1, &byte)) {
            return false;
        }
        other |= byte == PREFIX_OPERAND_SIZE;
        if (mode == 64 && (byte & (REX_MASK | REX_W)) == (REX | REX_W)) {
            *width = 8;
        }
    }
    if (other && *width != 8) {
        *width = mode == 16 ? 4 : 2;
    }
    return true;
}
