// SPDX-License-Identifier: MIT
// LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT and STR, which exit only where VM_INTERCEPT_TABLES was
// asked for. Rules: the manual's pages of these instructions; which of them it was stands in the
// instruction information ("VM-Exit Instruction-Information Field").
#include "vmm/monitor/handlers.h"

#include "vmm/monitor/event.h"
#include "vmm/monitor/system_access.h"

#define REASON_GDTR_IDTR 46u // basic exit reason; the other is LDTR_TR

#define INFORMATION_REGISTER (1u << 10) // LDTR and TR: the operand is a register
#define IDENTITY_SECOND      (1u << 28) // IDTR or TR, else GDTR or LDTR
#define IDENTITY_LOAD        (1u << 29)

static bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static bool store_table(struct system_access *access, const struct vcpu_table *table)
{
    struct system_operand operand = system_operand(access->machine->page);
    uint32_t base_size = access->emulation.mode == 64 ? 8 : 4;
    uint64_t linear;

    return system_operand_linear(access, operand, 2 + base_size, EMULATE_WRITE, &linear) &&
           system_probe(access, linear, 2 + base_size) &&
           system_write(access, linear, 2, table->limit) &&
           system_write(access, linear + 2, base_size, table->base);
}

static bool load_table(struct system_access *access, struct vcpu_table *table)
{
    struct vcpu_page *page = access->machine->page;
    struct system_operand operand = system_operand(page);
    bool wide = access->emulation.mode == 64;
    uint64_t linear, limit, base;
    unsigned width;

    if (!system_operand_width(access, &width) ||
        !system_operand_linear(access, operand, wide ? 10 : 6, EMULATE_READ, &linear) ||
        !system_read(access, linear, 2, &limit) ||
        !system_read(access, linear + 2, wide ? 8 : 4, &base)) {
        return false;
    }
    if (wide && !is_canonical(base)) {
        return system_fault(access, VECTOR_PROTECTION, 0);
    }
    if (!wide && width == 2) {
        base &= 0xffffff;
    }
    *table = (struct vcpu_table){.base = base, .limit = (uint32_t)limit};
    page->dirty |= VCPU_GROUP_TABLES;
    return true;
}

static bool store_selector(struct system_access *access, uint16_t selector)
{
    struct vcpu_page *page = access->machine->page;
    uint32_t information = page->exit.instruction.information;
    uint64_t *gpr = &page->gpr[information >> 3 & 15];
    uint64_t linear;
    unsigned width;

    if ((information & INFORMATION_REGISTER) == 0) {
        return system_operand_linear(access, system_operand(page), 2, EMULATE_WRITE, &linear) &&
               system_write(access, linear, 2, selector);
    }
    if (!system_operand_width(access, &width)) {
        return false;
    }
    *gpr = width == 2 ? (*gpr & ~0xffffull) | selector : selector;
    page->dirty |= VCPU_GROUP_RIP; // it may be RSP
    return true;
}

static bool load_task_register(struct system_access *access, uint16_t selector)
{
    struct vcpu_page *page = access->machine->page;
    bool wide = system_is_long(page);
    struct descriptor descriptor;
    uint32_t rights;

    if ((selector & ~3u) == 0) {
        return system_fault(access, VECTOR_PROTECTION, 0);
    }
    if (!system_descriptor(access, selector, true, wide, VECTOR_PROTECTION, &descriptor)) {
        return false;
    }
    rights = descriptor.segment.access_rights & (RIGHTS_CODE_DATA | RIGHTS_TYPE);
    if (rights != SYSTEM_TSS && (wide || rights != SYSTEM_TSS_16)) {
        return system_fault(access, VECTOR_PROTECTION, selector & ~3u);
    }
    if ((descriptor.segment.access_rights & RIGHTS_PRESENT) == 0) {
        return system_fault(access, VECTOR_NOT_PRESENT, selector & ~3u);
    }
    if (!system_set_type(access, &descriptor, SYSTEM_BUSY, 0)) {
        return false;
    }
    page->segment[SEGMENT_TR] = descriptor.segment;
    page->segment[SEGMENT_TR].access_rights |= SYSTEM_BUSY;
    return true;
}

static enum outcome load_selector(struct machine *machine, bool task)
{
    struct vcpu_page *page = machine->page;
    uint32_t information = page->exit.instruction.information;
    struct system_access access;
    uint64_t linear, selector = page->gpr[information >> 3 & 15];
    bool done;

    if ((information & INFORMATION_REGISTER) == 0) {
        system_access_begin(&access, machine, false);
        if (!system_operand_linear(&access, system_operand(page), 2, EMULATE_READ, &linear) ||
            !system_read(&access, linear, 2, &selector)) {
            return system_access_end(&access);
        }
    }
    system_access_begin(&access, machine, true);
    done = task ? load_task_register(&access, (uint16_t)selector)
                : system_load_ldt(&access, (uint16_t)selector, VECTOR_PROTECTION);
    page->dirty |= VCPU_GROUP_SEGMENTS;
    return done ? OUTCOME_ADVANCE : system_access_end(&access);
}

enum outcome handle_descriptor_table(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    uint32_t information = page->exit.instruction.information;
    bool second = (information & IDENTITY_SECOND) != 0;
    bool table = (uint16_t)page->exit.hardware_reason == REASON_GDTR_IDTR;
    struct vcpu_table *registers = second ? &page->idtr : &page->gdtr;
    uint16_t selector = page->segment[second ? SEGMENT_TR : SEGMENT_LDTR].selector;
    struct system_access access;
    bool done;

    if (!machine_has(machine, SYSTEM_GROUPS)) {
        return OUTCOME_FETCH;
    }
    if (!table && (information & IDENTITY_LOAD) != 0) {
        return load_selector(machine, second);
    }
    system_access_begin(&access, machine, false);
    if (!table) {
        done = store_selector(&access, selector);
    } else if ((information & IDENTITY_LOAD) != 0) {
        done = load_table(&access, registers);
    } else {
        done = store_table(&access, registers);
    }
    return done ? OUTCOME_ADVANCE : system_access_end(&access);
}
