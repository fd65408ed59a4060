// SPDX-License-Identifier: MIT
// The table of VM exits: for each basic exit reason its name, its neutral kind, which hardware
// words and which register groups it needs, and its decoder. Pure; called by run.c and host tests.
// Layouts follow "Exit Qualification", "VM-Exit Instruction-Information Field" and "Information for
// VM Exits That Occur During Event Delivery".
#include "arch/x86/virt/vmx/exits.h"

#include "arch/x86/virt/vmx/vmx.h"
#include "kernel/lib/string.h"

#define GROUPS_EMULATE (VCPU_GROUP_CONTROL | VCPU_GROUP_SEGMENTS)

#define EVENT_NMI_UNBLOCKED (1u << 12) // in both information fields; not part of a page event

static uint64_t bits(uint64_t word, unsigned high, unsigned low)
{
    return word >> low & ((2ull << (high - low)) - 1);
}

/*@
  requires \valid_read(raw) && \valid(exit) && \separated(raw, exit);
  terminates \true;
  assigns exit->exception, exit->instruction_length;
  ensures exit->exception.word == (raw->interruption & ~0x1000);
  ensures exit->exception.error_code == raw->error_code;
  ensures exit->exception.address == raw->qualification;
  ensures exit->instruction_length ==
    ((raw->interruption & 0x700) < 0x400 ? 0 : \old(exit->instruction_length));
*/
static void decode_exception(const struct vmx_raw *raw, struct vm_exit *exit)
{
    exit->exception.word = raw->interruption & ~EVENT_NMI_UNBLOCKED;
    exit->exception.error_code = raw->error_code;
    exit->exception.address = raw->qualification;
    if ((raw->interruption & VCPU_EVENT_TYPE_MASK) < VCPU_EVENT_SOFTWARE_INTERRUPT) {
        exit->instruction_length = 0; // undefined but for INT n, INT3, INTO, INT1
    }
}

/*@
  requires \valid_read(raw) && \valid(exit) && \separated(raw, exit);
  terminates \true;
  assigns exit->task.selector, exit->task.source;
  ensures exit->task.selector == (uint16_t)raw->qualification;
  ensures exit->task.source == ((raw->qualification >> 30) & 3);
*/
static void decode_task_switch(const struct vmx_raw *raw, struct vm_exit *exit)
{
    exit->task.selector = (uint16_t)raw->qualification;
    exit->task.source = (uint8_t)bits(raw->qualification, 31, 30);
}

/*@
  requires \valid_read(raw) && \valid(exit) && \separated(raw, exit);
  terminates \true;
  assigns exit->invlpg.address;
  ensures exit->invlpg.address == raw->qualification;
*/
static void decode_invlpg(const struct vmx_raw *raw, struct vm_exit *exit)
{
    exit->invlpg.address = raw->qualification;
}

/*@
  requires \valid_read(raw) && \valid(exit) && \separated(raw, exit);
  terminates \true;
  assigns exit->cr.number, exit->cr.access, exit->cr.gpr, exit->cr.lmsw_source;
  ensures exit->cr.number == (raw->qualification & 15);
  ensures exit->cr.access == ((raw->qualification >> 4) & 3);
  ensures exit->cr.gpr == ((raw->qualification >> 8) & 15);
  ensures exit->cr.lmsw_source == ((raw->qualification >> 16) & 0xffff);
*/
static void decode_cr(const struct vmx_raw *raw, struct vm_exit *exit)
{
    exit->cr.number = (uint8_t)bits(raw->qualification, 3, 0);
    exit->cr.access = (uint8_t)bits(raw->qualification, 5, 4); // numbered as in the qualification
    exit->cr.gpr = (uint8_t)bits(raw->qualification, 11, 8);
    exit->cr.lmsw_source = (uint32_t)bits(raw->qualification, 31, 16);
}

/*@
  requires \valid_read(raw) && \valid(exit) && \separated(raw, exit);
  terminates \true;
  assigns exit->dr.number, exit->dr.read, exit->dr.gpr;
  ensures exit->dr.number == (raw->qualification & 7);
  ensures exit->dr.read == ((raw->qualification >> 4) & 1);
  ensures exit->dr.gpr == ((raw->qualification >> 8) & 15);
*/
static void decode_dr(const struct vmx_raw *raw, struct vm_exit *exit)
{
    exit->dr.number = (uint8_t)bits(raw->qualification, 2, 0);
    exit->dr.read = (uint8_t)bits(raw->qualification, 4, 4);
    exit->dr.gpr = (uint8_t)bits(raw->qualification, 11, 8);
}

/*@
  requires \valid_read(raw) && \valid(exit) && \separated(raw, exit);
  terminates \true;
  assigns exit->end_of_interrupt.vector;
  ensures exit->end_of_interrupt.vector == (raw->qualification & 255);
*/
static void decode_end_of_interrupt(const struct vmx_raw *raw, struct vm_exit *exit)
{
    exit->end_of_interrupt.vector = raw->qualification & 0xff;
}

static void decode_io(const struct vmx_raw *raw, struct vm_exit *exit)
{
    exit->words[0] = vmx_port_word(raw->qualification) | vmx_port_string_bits(raw->qualification);
}

void vmx_decode_string_port(uint32_t information, struct vm_exit *exit)
{
    exit->pio.address_size = (uint8_t)(2u << bits(information, 9, 7));
    exit->pio.segment =
        exit->pio.in != 0 ? (uint8_t)SEGMENT_ES : (uint8_t)bits(information, 17, 15);
}

/*@
  requires \valid_read(raw) && \valid(exit) && \separated(raw, exit);
  terminates \true;
  assigns exit->refused;
  ensures exit->refused.reason == REFUSED_GUEST_STATE;
  ensures exit->refused.error == (uint32_t)raw->qualification;
*/
static void decode_refused_guest(const struct vmx_raw *raw, struct vm_exit *exit)
{
    exit->refused.reason = REFUSED_GUEST_STATE;
    exit->refused.error = (uint32_t)raw->qualification;
}

/*@
  requires \valid_read(raw) && \valid(exit) && \separated(raw, exit);
  terminates \true;
  assigns exit->refused;
  ensures exit->refused.reason == REFUSED_MSR_LOADING;
  ensures exit->refused.error == (uint32_t)raw->qualification;
*/
static void decode_refused_msr(const struct vmx_raw *raw, struct vm_exit *exit)
{
    exit->refused.reason = REFUSED_MSR_LOADING;
    exit->refused.error = (uint32_t)raw->qualification;
}

/*@
  requires \valid_read(raw) && \valid(exit) && \separated(raw, exit);
  terminates \true;
  assigns exit->refused;
  ensures exit->refused.reason == REFUSED_MACHINE_CHECK;
  ensures exit->refused.error == (uint32_t)raw->qualification;
*/
static void decode_refused_machine_check(const struct vmx_raw *raw, struct vm_exit *exit)
{
    exit->refused.reason = REFUSED_MACHINE_CHECK;
    exit->refused.error = (uint32_t)raw->qualification;
}

/*@
  requires \valid_read(raw) && \valid(exit) && \separated(raw, exit);
  terminates \true;
  assigns exit->memory;
  ensures exit->memory.gpa == raw->gpa;
  ensures exit->memory.gva == (WORD_BIT(raw->qualification, 7) ? raw->gva : 0);
  ensures exit->memory.gva_valid == (WORD_BIT(raw->qualification, 7) ? 1 : 0);
  ensures exit->memory.read == (raw->qualification & 1);
  ensures exit->memory.write == ((raw->qualification >> 1) & 1);
  ensures exit->memory.fetch == ((raw->qualification >> 2) & 1);
  ensures exit->memory.in_page_walk == 1 <==>
    WORD_BIT(raw->qualification, 7) && !WORD_BIT(raw->qualification, 8);
*/
static void decode_memory(const struct vmx_raw *raw, struct vm_exit *exit)
{
    bool linear_valid = bits(raw->qualification, 7, 7) != 0;

    exit->memory.gpa = raw->gpa;
    exit->memory.gva = linear_valid ? raw->gva : 0;
    exit->memory.gva_valid = linear_valid;
    exit->memory.read = (uint8_t)bits(raw->qualification, 0, 0);
    exit->memory.write = (uint8_t)bits(raw->qualification, 1, 1);
    exit->memory.fetch = (uint8_t)bits(raw->qualification, 2, 2);
    exit->memory.in_page_walk = linear_valid && bits(raw->qualification, 8, 8) == 0;
}

/*@
  requires \valid_read(raw) && \valid(exit) && \separated(raw, exit);
  terminates \true;
  assigns exit->memory.gpa;
  ensures exit->memory.gpa == raw->gpa;
*/
static void decode_misconfiguration(const struct vmx_raw *raw, struct vm_exit *exit)
{
    exit->memory.gpa = raw->gpa;
}

/*@
  requires \valid_read(raw) && \valid(exit) && \separated(raw, exit);
  terminates \true;
  assigns exit->instruction.information, exit->instruction.displacement;
  ensures exit->instruction.information == raw->information;
  ensures exit->instruction.displacement == raw->qualification;
*/
static void decode_instruction(const struct vmx_raw *raw, struct vm_exit *exit)
{
    exit->instruction.information = raw->information;
    exit->instruction.displacement = raw->qualification;
}

#define INSTRUCTION(text, kind_value)                                                              \
    {                                                                                              \
        .name = (text), .kind = (kind_value), .needs = NEED_LENGTH | NEED_STEP                     \
    }
#define OPERAND(text, kind_value)                                                                  \
    {                                                                                              \
        .name = (text), .kind = (kind_value), .needs = NEED_LENGTH | NEED_INFORMATION,             \
        .groups = GROUPS_EMULATE, .decode = decode_instruction                                     \
    }

#define UNKNOWN                                                                                    \
    {                                                                                              \
        .name = "unknown exit", .kind = EXIT_UNKNOWN, .groups = VCPU_GROUP_ALL                     \
    }

const struct vmx_exit_row vmx_exit_rows[VMX_EXIT_REASON_COUNT] = {
    [VMX_REASON_EXCEPTION] = {"exception or NMI", EXIT_EXCEPTION, VIRT_TO_MONITOR,
                              NEED_LENGTH | NEED_INTERRUPTION, VCPU_GROUP_CONTROL,
                              decode_exception},
    [VMX_REASON_EXTERNAL_INTERRUPT] = {"external interrupt", EXIT_EVENT, VIRT_INTERRUPT},
    [2] = {"triple fault", EXIT_TRIPLE_FAULT, .groups = VCPU_GROUP_ALL},
    [3] = {"INIT signal", EXIT_INIT},
    [4] = {"start-up IPI", EXIT_SIPI},
    [5] = UNKNOWN,
    [6] = UNKNOWN,
    [7] = {"interrupt window", EXIT_INTERRUPT_WINDOW},
    [8] = {"NMI window", EXIT_NMI_WINDOW},
    [9] = {"task switch", EXIT_TASK_SWITCH, VIRT_TO_MONITOR, NEED_LENGTH,
           GROUPS_EMULATE | VCPU_GROUP_TABLES, decode_task_switch},
    [10] = {"CPUID", EXIT_CPUID, VIRT_CPUID, NEED_LENGTH},
    [11] = INSTRUCTION("GETSEC", EXIT_VMX_INSTRUCTION),
    [12] = INSTRUCTION("HLT", EXIT_HLT),
    [13] = INSTRUCTION("INVD", EXIT_INVD),
    [14] = {"INVLPG", EXIT_INVLPG, VIRT_TO_MONITOR, NEED_LENGTH, 0, decode_invlpg},
    [15] = INSTRUCTION("RDPMC", EXIT_RDPMC),
    [16] = INSTRUCTION("RDTSC", EXIT_RDTSC),
    [17] = UNKNOWN,
    [18] = INSTRUCTION("VMCALL", EXIT_VMCALL),
    [19] = OPERAND("VMCLEAR", EXIT_VMX_INSTRUCTION),
    [20] = INSTRUCTION("VMLAUNCH", EXIT_VMX_INSTRUCTION),
    [21] = OPERAND("VMPTRLD", EXIT_VMX_INSTRUCTION),
    [22] = OPERAND("VMPTRST", EXIT_VMX_INSTRUCTION),
    [23] = OPERAND("VMREAD", EXIT_VMX_INSTRUCTION),
    [24] = INSTRUCTION("VMRESUME", EXIT_VMX_INSTRUCTION),
    [25] = OPERAND("VMWRITE", EXIT_VMX_INSTRUCTION),
    [26] = INSTRUCTION("VMXOFF", EXIT_VMX_INSTRUCTION),
    [27] = OPERAND("VMXON", EXIT_VMX_INSTRUCTION),
    [28] = {"control-register access", EXIT_CR, VIRT_TO_MONITOR, NEED_LENGTH, VCPU_GROUP_CONTROL,
            decode_cr},
    [29] = {"MOV DR", EXIT_DR, VIRT_TO_MONITOR, NEED_LENGTH, VCPU_GROUP_DEBUG, decode_dr},
    [VMX_REASON_IO] = {"I/O instruction", EXIT_PIO, VIRT_PORT, NEED_LENGTH, 0, decode_io},
    [31] = INSTRUCTION("RDMSR", EXIT_RDMSR),
    [32] = INSTRUCTION("WRMSR", EXIT_WRMSR),
    [VMX_REASON_GUEST_STATE] = {"VM-entry failure due to invalid guest state", EXIT_ENTRY_REFUSED,
                                .decode = decode_refused_guest},
    [VMX_REASON_MSR_LOADING] = {"VM-entry failure due to MSR loading", EXIT_ENTRY_REFUSED,
                                .decode = decode_refused_msr},
    [35] = UNKNOWN,
    [36] = {"MWAIT", EXIT_MWAIT, VIRT_TO_MONITOR, NEED_LENGTH},
    [37] = {"monitor trap flag", EXIT_STEP},
    [38] = UNKNOWN,
    [39] = INSTRUCTION("MONITOR", EXIT_MONITOR),
    [40] = INSTRUCTION("PAUSE", EXIT_PAUSE),
    [VMX_REASON_MACHINE_CHECK] = {"VM-entry failure due to machine-check event", EXIT_ENTRY_REFUSED,
                                  .decode = decode_refused_machine_check},
    [42] = UNKNOWN,
    [43] = {"TPR below threshold", EXIT_APIC, .needs = NEED_PRIORITY},
    [44] = {"APIC access", EXIT_APIC, .groups = GROUPS_EMULATE},
    [45] = {"virtualized EOI", EXIT_END_OF_INTERRUPT, .decode = decode_end_of_interrupt},
    [46] = OPERAND("access to GDTR or IDTR", EXIT_DESCRIPTOR_TABLE),
    [47] = OPERAND("access to LDTR or TR", EXIT_DESCRIPTOR_TABLE),
    [VMX_REASON_EPT_VIOLATION] = {"EPT violation", EXIT_MEMORY, VIRT_TO_MONITOR, NEED_ADDRESSES,
                                  VCPU_GROUP_CONTROL, decode_memory},
    [49] = {"EPT misconfiguration", EXIT_MISCONFIGURATION, VIRT_TO_MONITOR, NEED_ADDRESSES,
            VCPU_GROUP_ALL, decode_misconfiguration},
    [50] = OPERAND("INVEPT", EXIT_VMX_INSTRUCTION),
    [51] = INSTRUCTION("RDTSCP", EXIT_RDTSC),
    [52] = {"VMX-preemption timer expired", EXIT_DEADLINE, VIRT_TIMER},
    [53] = OPERAND("INVVPID", EXIT_VMX_INSTRUCTION),
    [54] = INSTRUCTION("WBINVD or WBNOINVD", EXIT_WBINVD),
    [55] = {"XSETBV", EXIT_XSETBV, VIRT_TO_MONITOR, NEED_LENGTH,
            VCPU_GROUP_CONTROL | VCPU_GROUP_XCR0},
    [56] = UNKNOWN,
    [57] = OPERAND("RDRAND", EXIT_RANDOM),
    [58] = OPERAND("INVPCID", EXIT_INVPCID),
    [59] = INSTRUCTION("VMFUNC", EXIT_VMX_INSTRUCTION),
    [60] = UNKNOWN,
    [61] = OPERAND("RDSEED", EXIT_RANDOM),
    [62] = {"page-modification log full", EXIT_DIRTY, .needs = NEED_PAGE_LOG},
    [63 ... 66] = UNKNOWN,
    [67] = OPERAND("UMWAIT", EXIT_USER_WAIT),
    [68] = OPERAND("TPAUSE", EXIT_USER_WAIT),
    [69 ... VMX_EXIT_REASON_COUNT - 1] = UNKNOWN,
};

struct vcpu_event vmx_reinjection(uint32_t vectoring, uint32_t error_code, uint32_t length)
{
    struct vcpu_event event = {0};
    uint32_t type = vectoring & VCPU_EVENT_TYPE_MASK;

    if ((vectoring & VCPU_EVENT_VALID) == 0) {
        return event;
    }
    event.word = vectoring & ~EVENT_NMI_UNBLOCKED;
    if ((vectoring & VCPU_EVENT_ERROR_CODE) != 0) {
        event.error_code = error_code;
    }
    if (type >= VCPU_EVENT_SOFTWARE_INTERRUPT) {
        event.instruction_length = length;
    }
    return event;
}
