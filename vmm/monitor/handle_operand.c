// SPDX-License-Identifier: MIT
// Instructions that exit only where that was asked for (VM_INTERCEPT_*) and take an operand:
// INVLPG, INVPCID, RDRAND, RDSEED. What they do to the guest is what the manual's pages of them
// say.
#include "vmm/monitor/handlers.h"

#include "kernel/lib/processor.h"
#include "vmm/monitor/event.h"
#include "vmm/monitor/random.h"
#include "vmm/monitor/system_access.h"

#define RFLAGS_ARITHMETIC 0x8d5ull // CF, PF, AF, ZF, SF, OF

// Loading the control registers drops the translations of the virtual processor: more than was
// asked for, which the manual allows.
static enum outcome drop_translations(struct machine *machine)
{
    machine->page->dirty |= VCPU_GROUP_CONTROL;
    return OUTCOME_ADVANCE;
}

enum outcome handle_invlpg(struct machine *machine)
{
    return machine_has(machine, VCPU_GROUP_CONTROL) ? drop_translations(machine) : OUTCOME_FETCH;
}

static bool is_canonical(uint64_t address)
{
    return (uint64_t)((int64_t)(address << 16) >> 16) == address;
}

static bool invpcid_is_allowed(const struct vcpu_page *page, uint64_t type, uint64_t low,
                               uint64_t linear)
{
    if (type > 3) {
        return false;
    }
    if (type <= 1 && ((low >> 12) != 0 || (!(page->cr4 & CR4_PCIDE) && low != 0))) {
        return false;
    }
    return type != 0 || is_canonical(linear);
}

enum outcome handle_invpcid(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    struct system_access access;
    uint64_t type, address, low, linear;

    if (!machine_has(machine, SYSTEM_GROUPS)) {
        return OUTCOME_FETCH;
    }
    type = page->gpr[page->exit.instruction.information >> 28 & 15];
    system_access_begin(&access, machine, false);
    if (!system_operand_linear(&access, system_operand(page), 16, EMULATE_READ, &address) ||
        !system_read(&access, address, 8, &low) || !system_read(&access, address + 8, 8, &linear)) {
        return system_access_end(&access);
    }
    if (access.emulation.mode != 64) {
        type = (uint32_t)type;
    }
    return invpcid_is_allowed(page, type, low, linear) ? drop_translations(machine)
                                                       : event_protection(machine);
}

// The destination is of 2, 4 or 8 bytes; one of 4 clears the upper half.
static void set_destination(struct vcpu_page *page, unsigned gpr, unsigned size, uint64_t value)
{
    if (size == 2) {
        value = (page->gpr[gpr] & ~0xffffull) | (value & 0xffff);
    } else if (size == 4) {
        value = (uint32_t)value;
    }
    page->gpr[gpr] = value;
}

enum outcome handle_random(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    struct system_access access;
    uint64_t value = 0;
    unsigned width;
    bool good;

    if (!machine_has(machine, SYSTEM_GROUPS)) {
        return OUTCOME_FETCH;
    }
    system_access_begin(&access, machine, false);
    if (!system_operand_width(&access, &width)) {
        return system_access_end(&access);
    }
    good = random_next(&machine->random, &value);
    set_destination(page, page->exit.instruction.information >> 3 & 15, width, good ? value : 0);
    page->rflags = (page->rflags & ~RFLAGS_ARITHMETIC) | (good ? RFLAGS_CF : 0);
    page->dirty |= VCPU_GROUP_RIP;
    return OUTCOME_ADVANCE;
}
