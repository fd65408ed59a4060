// SPDX-License-Identifier: MIT
// Who handles which exit. Called by the run loop; a host test demands a row for each kind.
#include "vmm/monitor/handlers.h"

const struct exit_row exit_table[EXIT_KIND_COUNT] = {
    [EXIT_NONE] = {"none", handle_nothing},
    [EXIT_EVENT] = {"event", handle_nothing},
    [EXIT_DEADLINE] = {"deadline", handle_nothing},
    [EXIT_CPUID] = {"cpuid", handle_cpuid},
    [EXIT_HLT] = {"hlt", handle_halt},
    [EXIT_PIO] = {"pio", handle_port},
    [EXIT_MEMORY] = {"memory", handle_memory},
    [EXIT_RDMSR] = {"rdmsr", handle_rdmsr},
    [EXIT_WRMSR] = {"wrmsr", handle_wrmsr},
    [EXIT_CR] = {"control register", handle_control_register},
    [EXIT_DR] = {"debug register", handle_debug_register},
    [EXIT_EXCEPTION] = {"exception", handle_exception},
    [EXIT_TRIPLE_FAULT] = {"triple fault", handle_triple_fault},
    [EXIT_INTERRUPT_WINDOW] = {"interrupt window", handle_nothing},
    [EXIT_NMI_WINDOW] = {"nmi window", handle_nothing},
    [EXIT_VMCALL] = {"vmcall", handle_vmcall},
    [EXIT_XSETBV] = {"xsetbv", handle_xsetbv},
    [EXIT_INVD] = {"invd", handle_skip},
    [EXIT_WBINVD] = {"wbinvd", handle_skip},
    [EXIT_INVLPG] = {"invlpg", handle_invlpg},
    [EXIT_RDPMC] = {"rdpmc", handle_rdpmc},
    [EXIT_RDTSC] = {"rdtsc", handle_rdtsc},
    [EXIT_PAUSE] = {"pause", handle_skip},
    [EXIT_MONITOR] = {"monitor", handle_undefined},
    [EXIT_MWAIT] = {"mwait", handle_undefined},
    [EXIT_TASK_SWITCH] = {"task switch", handle_task_switch},
    [EXIT_DESCRIPTOR_TABLE] = {"descriptor table", handle_descriptor_table},
    [EXIT_VMX_INSTRUCTION] = {"vmx instruction", handle_undefined},
    [EXIT_RANDOM] = {"random", handle_random},
    [EXIT_INVPCID] = {"invpcid", handle_invpcid},
    [EXIT_INIT] = {"init", handle_start_up},
    [EXIT_SIPI] = {"sipi", handle_start_up},
    [EXIT_STEP] = {"step", handle_nothing},
    [EXIT_DIRTY] = {"dirty page", handle_nothing},
    [EXIT_USER_WAIT] = {"user wait", handle_undefined},
    [EXIT_APIC] = {"apic", handle_apic},
    [EXIT_END_OF_INTERRUPT] = {"end of interrupt", handle_end_of_interrupt},
    [EXIT_MISCONFIGURATION] = {"ept misconfiguration", handle_misconfiguration},
    [EXIT_ENTRY_REFUSED] = {"entry refused", handle_entry_refused},
    [EXIT_UNKNOWN] = {"unknown", handle_unknown},
};

const char *exit_kind_name(uint32_t kind)
{
    return kind < EXIT_KIND_COUNT ? exit_table[kind].name : "out of range";
}
