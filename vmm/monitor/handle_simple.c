// SPDX-License-Identifier: MIT
// Exits whose handling needs no tables and no devices, and those that end the VM.
#include "vmm/monitor/handlers.h"

#include "vmm/monitor/event.h"

enum outcome handle_nothing(struct machine *machine)
{
    (void)machine; // the run loop looks at timers, interrupts and events after every exit
    return OUTCOME_RESUME;
}

// Without a local APIC nothing but an interrupt ends HLT.
#define RIGHTS_RESERVED 0xf00u // bits of a segment's access rights that no entry takes

// Wanted by CONFIG_INTERCEPT_BAD_STATE: the next entry is refused.
static enum outcome spoil_state(struct machine *machine)
{
    if (!machine_has(machine, VCPU_GROUP_SEGMENTS)) {
        return OUTCOME_FETCH;
    }
    machine->page->segment[SEGMENT_CS].access_rights |= RIGHTS_RESERVED;
    machine->page->dirty |= VCPU_GROUP_SEGMENTS;
    return OUTCOME_ADVANCE;
}

enum outcome handle_halt(struct machine *machine)
{
    struct vcpu_page *page = machine->page;

    if (UNLIKELY(machine->bad_state)) {
        return spoil_state(machine);
    }
    if (UNLIKELY(!machine->apic && !(page->rflags & RFLAGS_IF))) {
        return machine_halted(machine);
    }
    page->halted = !(page->rflags & RFLAGS_TF); // the single-step trap ends the halt at once
    return OUTCOME_ADVANCE;
}

enum outcome handle_skip(struct machine *machine)
{
    (void)machine;
    return OUTCOME_ADVANCE;
}

enum outcome handle_undefined(struct machine *machine)
{
    return event_undefined(machine);
}

// Hypercall 0 does nothing; the backend finishes most of them. There are no others.
#define NO_SUCH_HYPERCALL (-1000ll) // in the interface whose signature CPUID shows

// Only machines with local APICs have that signature; without it VMCALL is no instruction.
enum outcome handle_vmcall(struct machine *machine)
{
    uint64_t *rax = &machine->page->gpr[GPR_RAX];

    if (*rax != 0 && !machine->apic) {
        return event_undefined(machine);
    }
    *rax = *rax != 0 ? (uint64_t)NO_SUCH_HYPERCALL : 0;
    return OUTCOME_ADVANCE;
}

enum outcome handle_rdpmc(struct machine *machine)
{
    return event_protection(machine); // CPUID shows no counters
}

// RDTSC and RDTSCP, should a backend intercept them.
enum outcome handle_rdtsc(struct machine *machine)
{
    struct vcpu_page *page = machine->page;
    uint64_t tsc;

    if (!machine_has(machine, VCPU_GROUP_MSRS)) {
        return OUTCOME_FETCH;
    }
    tsc = page->exit_tsc + page->tsc_offset;
    page->gpr[GPR_RAX] = (uint32_t)tsc;
    page->gpr[GPR_RDX] = tsc >> 32;
    if (page->exit.instruction_length == 3) {
        page->gpr[GPR_RCX] = (uint32_t)page->tsc_aux;
    }
    return OUTCOME_ADVANCE;
}

enum outcome handle_triple_fault(struct machine *machine)
{
    return machine_stop(machine, END_TRIPLE_FAULT, RUN_TRIPLE_FAULT, true,
                        "triple fault at rip 0x%llx", (unsigned long long)machine->page->rip);
}

// The reason in words; what `error` means depends on it.
static const char *refusal_name(uint32_t reason)
{
    static const char *const names[] = {
        [REFUSED_INVALID_STATE] = "there is no current VMCS",
        [REFUSED_CONTROL_FIELDS] = "control or host fields, VM-instruction error",
        [REFUSED_GUEST_STATE] = "invalid guest state",
        [REFUSED_MSR_LOADING] = "MSR loading, entry",
        [REFUSED_MACHINE_CHECK] = "machine check",
        [REFUSED_BY_KERNEL] = "the kernel does not load what the monitor asked for",
    };

    return reason < ARRAY_COUNT(names) ? names[reason] : "unknown reason";
}

enum outcome handle_entry_refused(struct machine *machine)
{
    const struct vm_exit *exit = &machine->page->exit;

    return machine_stop(machine, END_ENTRY_REFUSED, RUN_ENTRY_REFUSED, true,
                        "the processor refused to enter the guest: %s %u",
                        refusal_name(exit->refused.reason), exit->refused.error);
}

// An INIT or a start-up IPI of the machine's own APIC: the kernel sends none to a processor that
// runs guests, and no guest is entered in the wait-for-SIPI state.
enum outcome handle_start_up(struct machine *machine)
{
    return machine_stop(machine, END_UNHANDLED, RUN_UNHANDLED, true,
                        "the machine itself received an %s while the guest ran",
                        machine->page->exit.kind == EXIT_INIT ? "INIT signal" : "start-up IPI");
}

// The instruction is complete: there is nothing to step over.
enum outcome handle_end_of_interrupt(struct machine *machine)
{
    if (machine->apic) {
        local_apic_ended(machine->apic, machine->page->exit.end_of_interrupt.vector);
    }
    return OUTCOME_RESUME;
}

#define REASON_TPR_BELOW   43u // basic exit reasons
#define REASON_APIC_ACCESS 44u

// What was asked for: accesses to the APIC page, and the task priority, which nothing waits for
// without a local APIC. The rest of APIC virtualisation is off.
enum outcome handle_apic(struct machine *machine)
{
    const struct vm_exit *exit = &machine->page->exit;

    if ((uint16_t)exit->hardware_reason == REASON_APIC_ACCESS) {
        return handle_apic_access(machine);
    }
    if ((uint16_t)exit->hardware_reason == REASON_TPR_BELOW) {
        return OUTCOME_RESUME;
    }
    return machine_stop(machine, END_UNHANDLED, RUN_UNHANDLED, true,
                        "exit of APIC virtualisation that was not asked for: raw reason 0x%x, "
                        "qualification 0x%llx",
                        exit->hardware_reason, (unsigned long long)exit->hardware_qualification);
}

// The nested page table holds an entry that the processor does not take: an error of ours.
enum outcome handle_misconfiguration(struct machine *machine)
{
    return machine_stop(machine, END_UNHANDLED, RUN_UNHANDLED, true,
                        "the nested page table's entry for guest-physical 0x%llx is malformed",
                        (unsigned long long)machine->page->exit.memory.gpa);
}

enum outcome handle_unknown(struct machine *machine)
{
    const struct vm_exit *exit = &machine->page->exit;

    return machine_stop(machine, END_UNHANDLED, RUN_UNHANDLED, true,
                        "nobody handles exit \"%s\", raw reason 0x%x, qualification 0x%llx",
                        exit_kind_name(exit->kind), exit->hardware_reason,
                        (unsigned long long)exit->hardware_qualification);
}
