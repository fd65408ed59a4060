// SPDX-License-Identifier: MIT
// Port and memory exits: the way from the guest's instructions to the devices. A plain IN or OUT is
// done here; strings and memory operands go through the emulator (guest_access.h is its way).
#include "vmm/monitor/handlers.h"

#include "kernel/lib/format.h"
#include "vmm/emulate/emulate.h"
#include "vmm/monitor/event.h"

#define GROUPS_TO_EMULATE (VCPU_GROUP_RIP | VCPU_GROUP_CONTROL | VCPU_GROUP_SEGMENTS)

static enum outcome refuse(struct machine *machine, const struct emulate_result *result)
{
    const struct vm_exit *exit = &machine->page->exit;
    char bytes[3 * EMULATE_LENGTH_MAXIMUM + 1] = "";

    for (size_t i = 0; i < result->fetched && i < EMULATE_LENGTH_MAXIMUM; i++) {
        (void)format_text(bytes + 3 * i, sizeof(bytes) - 3 * i, " %02x", result->bytes[i]);
    }
    return machine_stop(
        machine, END_UNHANDLED, RUN_UNHANDLED, true, "instruction%s at rip 0x%llx, %s 0x%llx: %s",
        bytes, (unsigned long long)machine->page->rip,
        exit->kind == EXIT_MEMORY ? "guest-physical" : "port",
        (unsigned long long)(exit->kind == EXIT_MEMORY ? exit->memory.gpa : exit->pio.port),
        result->outcome == EMULATE_FAILED ? status_name(result->status)
                                          : "not an instruction we emulate");
}

static enum outcome emulate(struct machine *machine)
{
    struct emulate_result result;

    if (!machine_has(machine, GROUPS_TO_EMULATE)) {
        return OUTCOME_FETCH;
    }
    guest_access_emulate(&machine->access, machine->page, &result);
    switch (result.outcome) {
    case EMULATE_DONE:
    case EMULATE_AGAIN:
        machine->trap_due = result.single_step;
        return machine_after_access(machine, OUTCOME_RESUME);
    case EMULATE_EXCEPTION:
        return event_raise_fault(machine, &result.fault);
    case EMULATE_FAILED:
        if (result.status == STATUS_BUSY) {
            return OUTCOME_RESUME; // another processor was quicker: the guest tries again
        }
        break;
    case EMULATE_UNSUPPORTED:
        break;
    }
    return refuse(machine, &result);
}

// Puts what IN read into RAX: 8 and 16 bits leave the rest, 32 bits clear the upper half.
static inline void set_accumulator(struct vcpu_page *page, unsigned size, uint32_t value)
{
    if (LIKELY(size == 1)) {
        *(uint8_t *)&page->gpr[GPR_RAX] = (uint8_t)value;
    } else {
        uint64_t rest = size == 4 ? 0 : ~0ull << (8 * size);

        page->gpr[GPR_RAX] = (page->gpr[GPR_RAX] & rest) | value;
    }
}

enum outcome handle_port(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    const struct vm_exit *exit = &page->exit;

    if (UNLIKELY(exit->pio.string)) {
        return emulate(machine);
    }
    if (exit->pio.in) {
        set_accumulator(page, exit->pio.size,
                        platform_port_read(machine->platform, exit->pio.port, exit->pio.size));
    } else {
        platform_port_write(machine->platform, exit->pio.port, exit->pio.size,
                            (uint32_t)page->gpr[GPR_RAX]);
    }
    return machine_after_access(machine, OUTCOME_ADVANCE);
}

enum outcome handle_memory(struct machine *machine)
{
    const struct vm_exit *exit = &machine->page->exit;

    if (machine->page->event.word & VCPU_EVENT_VALID) {
        return machine_stop(machine, END_UNHANDLED, RUN_UNHANDLED, true,
                            "event 0x%x was delivered through guest-physical 0x%llx, which is not "
                            "memory",
                            machine->page->event.word, (unsigned long long)exit->memory.gpa);
    }
    if (exit->memory.fetch) {
        return machine_stop(machine, END_UNHANDLED, RUN_UNHANDLED, true,
                            "the guest runs code at guest-physical 0x%llx, which is not memory",
                            (unsigned long long)exit->memory.gpa);
    }
    if (exit->memory.in_page_walk) {
        return machine_stop(machine, END_UNHANDLED, RUN_UNHANDLED, true,
                            "a page table of the guest is at guest-physical 0x%llx, which is not "
                            "memory",
                            (unsigned long long)exit->memory.gpa);
    }
    if (LIKELY(guest_access_move(&machine->access, machine->page, &machine->trap_due))) {
        return machine_after_access(machine, OUTCOME_RESUME);
    }
    return emulate(machine);
}

enum outcome handle_apic_access(struct machine *machine)
{
    return emulate(machine);
}
