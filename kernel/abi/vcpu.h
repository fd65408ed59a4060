// SPDX-License-Identifier: MIT
// The page that a vCPU shares with its monitor: registers, the decoded exit, pending events.
//
// The kernel fills it when vcpu_run returns; the monitor changes what it likes and calls vcpu_run
// again. General registers and cr2 are always current and always loaded. Everything else belongs to
// a *group*: the kernel fills a group when the exit's kind needs it and sets its bit in `valid`;
// the monitor sets the bit in `dirty` to have the group loaded at the next entry. A group that is
// not valid is fetched with VCPU_RUN_FETCH (vcpu_run with that flag fills `wanted` and returns
// without entering the guest).
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

// Index into gpr[]: the processor's own register numbers (REX.B:reg).
enum gpr_index {
    GPR_RAX,
    GPR_RCX,
    GPR_RDX,
    GPR_RBX,
    GPR_RSP,
    GPR_RBP,
    GPR_RSI,
    GPR_RDI,
    GPR_R8,
    GPR_R9,
    GPR_R10,
    GPR_R11,
    GPR_R12,
    GPR_R13,
    GPR_R14,
    GPR_R15,
    GPR_COUNT
};

// Index into segment[]: the processor's own segment-register numbers, then the system segments.
enum segment_index {
    SEGMENT_ES,
    SEGMENT_CS,
    SEGMENT_SS,
    SEGMENT_DS,
    SEGMENT_FS,
    SEGMENT_GS,
    SEGMENT_LDTR,
    SEGMENT_TR,
    SEGMENT_COUNT
};

// Segment access rights in the layout of the VMCS: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13,
// D/B 14, G 15, unusable 16.
#define SEGMENT_UNUSABLE (1u << 16)
#define SEGMENT_LONG     (1u << 13)
#define SEGMENT_BIG      (1u << 14)

struct vcpu_segment {
    uint64_t base;
    uint32_t limit; // in bytes, granularity already applied
    uint32_t access_rights;
    uint16_t selector;
    uint16_t reserved[3];
};

struct vcpu_table { // GDTR, IDTR
    uint64_t base;
    uint32_t limit;
    uint32_t reserved;
};

// Groups of `valid`, `dirty` and `wanted`.
enum vcpu_group {
    VCPU_GROUP_RIP = 1u << 0, // rip, rflags, gpr[GPR_RSP], interruptibility: valid at every exit
    VCPU_GROUP_CONTROL = 1u << 1,  // cr0, cr3, cr4, efer; and, to be read only, the access rights
                                   // of CS and SS: they tell mode and privilege level
    VCPU_GROUP_SEGMENTS = 1u << 2, // segment[]
    VCPU_GROUP_TABLES = 1u << 3,   // gdtr, idtr
    VCPU_GROUP_MSRS = 1u << 4,     // star ... pat
    VCPU_GROUP_DEBUG = 1u << 5,    // dr[], dr7
    VCPU_GROUP_XCR0 = 1u << 6,     // xcr0
    VCPU_GROUP_APIC = 1u << 7,     // apic_mode ... eoi_exit
    VCPU_GROUP_ALL = (1u << 8) - 1,
    VCPU_GROUP_SERVED = 1u << 8 // of VCPU_GROUP_APIC interrupt_status alone; in `dirty` only
};

// Interruptibility, in the layout of the manual's "Guest Non-Register State".
#define VCPU_BLOCKED_BY_STI    (1u << 0)
#define VCPU_BLOCKED_BY_MOV_SS (1u << 1)
#define VCPU_BLOCKED_BY_SMI    (1u << 2)
#define VCPU_BLOCKED_BY_NMI    (1u << 3)

// An event to inject: vector 7:0, type 10:8, error code valid 11, valid 31. VMX's
// interruption-information field and SVM's EVENTINJ agree on these bits.
#define VCPU_EVENT_VALID      (1u << 31)
#define VCPU_EVENT_ERROR_CODE (1u << 11)
enum vcpu_event_type {
    VCPU_EVENT_EXTERNAL = 0u << 8,
    VCPU_EVENT_NMI = 2u << 8,
    VCPU_EVENT_EXCEPTION = 3u << 8,
    VCPU_EVENT_SOFTWARE_INTERRUPT = 4u << 8,
    VCPU_EVENT_PRIVILEGED_EXCEPTION = 5u << 8,
    VCPU_EVENT_SOFTWARE_EXCEPTION = 6u << 8,
    VCPU_EVENT_TYPE_MASK = 7u << 8
};

struct vcpu_event {
    uint32_t word; // 0: none
    uint32_t error_code;
    uint32_t instruction_length; // for software events, in bytes
    uint32_t reserved;
};

enum exit_kind {
    EXIT_NONE,     // VCPU_RUN_FETCH only: groups were filled, the guest did not run
    EXIT_EVENT,    // an event of the thread arrived (vcpu_page.events), or a kick
    EXIT_DEADLINE, // deadline_tsc has passed
    EXIT_CPUID,    // only where the registered table says "ask the monitor"
    EXIT_HLT,
    EXIT_PIO,    // IN, OUT, INS, OUTS
    EXIT_MEMORY, // EPT violation: nothing granted there, or not with that permission
    EXIT_RDMSR,
    EXIT_WRMSR,
    EXIT_CR, // MOV CR, CLTS, LMSW
    EXIT_DR,
    EXIT_EXCEPTION, // an exception or NMI that exception_bitmap asked for
    EXIT_TRIPLE_FAULT,
    EXIT_INTERRUPT_WINDOW, // request_window was set and the guest can now take an interrupt
    EXIT_NMI_WINDOW,
    EXIT_VMCALL,
    EXIT_XSETBV,
    EXIT_INVD,
    EXIT_WBINVD,
    EXIT_INVLPG,
    EXIT_RDPMC,
    EXIT_RDTSC, // RDTSC, RDTSCP
    EXIT_PAUSE,
    EXIT_MONITOR,
    EXIT_MWAIT,
    EXIT_TASK_SWITCH,
    EXIT_DESCRIPTOR_TABLE, // LGDT ... STR
    EXIT_VMX_INSTRUCTION,  // VMXON ... INVVPID, INVEPT, VMFUNC
    EXIT_RANDOM,           // RDRAND, RDSEED
    EXIT_INVPCID,
    EXIT_INIT,
    EXIT_SIPI,
    EXIT_STEP,             // VM_INTERCEPT_STEP: one instruction is done
    EXIT_DIRTY,            // VM_INTERCEPT_DIRTY: the guest is about to write to a page
    EXIT_USER_WAIT,        // UMWAIT, TPAUSE
    EXIT_APIC,             // APIC access, APIC write, TPR below threshold
    EXIT_END_OF_INTERRUPT, // of a vector in eoi_exit; the processor has done it
    EXIT_MISCONFIGURATION, // EPT misconfiguration: a bug of ours, reported
    EXIT_ENTRY_REFUSED,    // VM entry failed; see exit.refused and vcpu_read
    EXIT_UNKNOWN,          // a basic exit reason without a row; the raw words are in the exit
    EXIT_KIND_COUNT
};

// Who is the guest's local APIC.
enum vcpu_apic_mode {
    VCPU_APIC_MONITOR, // the monitor: each access exits
    VCPU_APIC_VIRTUAL, // the processor with the virtual-APIC page, in x2APIC mode: most do not
};

enum exit_cr_access { CR_ACCESS_WRITE, CR_ACCESS_READ, CR_ACCESS_CLTS, CR_ACCESS_LMSW };

// Why the entry was refused.
enum entry_refusal {
    REFUSED_INVALID_STATE,  // VMfailInvalid: no current VMCS
    REFUSED_CONTROL_FIELDS, // VMfailValid: `error` is the VM-instruction error number
    REFUSED_GUEST_STATE,    // exit with "VM-entry failure due to invalid guest state"
    REFUSED_MSR_LOADING,    // exit with "VM-entry failure due to MSR loading"; `error` is the entry
    REFUSED_MACHINE_CHECK,  // exit with "VM-entry failure due to machine-check event"
    REFUSED_BY_KERNEL,      // the shared page asked for something the kernel does not load
};

// One exit, decoded once by the backend. Only the member that belongs to `kind` is meaningful.
struct vm_exit {
    uint32_t kind;               // enum exit_kind
    uint32_t instruction_length; // in bytes; 0 where the manual leaves it undefined
    uint32_t hardware_reason;    // the raw exit-reason field, for reports
    uint32_t advanced; // 1: the guest goes on behind the instruction, although `rip` is before it,
                       // unless the monitor marks VCPU_GROUP_RIP dirty
    uint64_t hardware_qualification; // the raw qualification, for reports
    union {
        struct {
            uint16_t port;
            uint8_t size; // 1, 2 or 4 bytes
            uint8_t in;   // 1: IN or INS
            uint8_t string;
            uint8_t repeat;
            uint8_t segment;      // enum segment_index of the memory operand (OUTS); ES for INS
            uint8_t address_size; // 2, 4 or 8 bytes
        } pio;
        struct {
            uint64_t gpa;
            uint64_t gva; // meaningful when gva_valid
            uint8_t gva_valid;
            uint8_t read;
            uint8_t write;
            uint8_t fetch;
            uint8_t in_page_walk; // the access was to a paging structure of the guest
        } memory;
        struct {
            uint8_t number;
            uint8_t access; // enum exit_cr_access
            uint8_t gpr;    // enum gpr_index
            uint8_t reserved;
            uint32_t lmsw_source;
        } cr;
        struct {
            uint8_t number;
            uint8_t read; // 1: MOV from DR
            uint8_t gpr;
        } dr;
        struct {
            uint32_t word; // as vcpu_event.word
            uint32_t error_code;
            uint64_t address; // fault address of a page fault, DR6 bits of a debug exception
        } exception;
        struct {
            uint64_t address; // INVLPG operand
        } invlpg;
        struct {
            uint16_t selector;
            uint8_t source; // 0 CALL, 1 IRET, 2 JMP, 3 task gate
            uint8_t reserved;
        } task;
        struct {
            uint32_t reason; // enum entry_refusal
            uint32_t error;
        } refused;
        struct {
            uint32_t vector;
        } end_of_interrupt;
        struct {
            uint32_t information; // VM-exit instruction information
            uint32_t reserved;
            uint64_t displacement;
        } instruction;
        uint64_t words[4];
    };
};
static_assert(sizeof(struct vm_exit) == 56, "vm_exit is part of the system-call ABI");

struct vcpu_page {
    // Always current, always loaded.
    uint64_t gpr[GPR_COUNT]; // gpr[GPR_RSP] belongs to VCPU_GROUP_RIP
    uint64_t cr2;

    // VCPU_GROUP_RIP
    uint64_t rip;
    uint64_t rflags;
    uint32_t interruptibility;

    // Control of this run, read at vcpu_run and left as they are.
    uint32_t halted;         // 1: do not enter; sleep until an event or the deadline
    uint64_t deadline_tsc;   // absolute host TSC for EXIT_DEADLINE; 0: none
    uint16_t request_window; // 1: EXIT_INTERRUPT_WINDOW as soon as an interrupt can be taken
    uint16_t request_nmi_window;
    uint32_t exception_bitmap; // exceptions that exit with EXIT_EXCEPTION
    uint64_t reserved1;

    uint32_t valid;  // groups filled by the kernel
    uint32_t wanted; // groups to fill at *every* exit besides what its kind needs, and by FETCH
    uint32_t dirty;  // groups changed by the monitor; cleared by the kernel when loaded

    // Event to inject at the next entry. The kernel leaves an event here that the last exit
    // interrupted (IDT-vectoring); the monitor must not overwrite a valid one.
    struct vcpu_event event;
    uint32_t reserved0;

    uint64_t events;   // event bits of the running thread, delivered with EXIT_EVENT or any exit;
                       // the monitor clears them
    uint64_t exit_tsc; // host TSC read first thing after the exit

    struct vm_exit exit;

    // VCPU_GROUP_CONTROL
    uint64_t cr0; // as the guest sees it
    uint64_t cr3;
    uint64_t cr4; // as the guest sees it
    uint64_t efer;

    // VCPU_GROUP_SEGMENTS, VCPU_GROUP_TABLES
    struct vcpu_segment segment[SEGMENT_COUNT];
    struct vcpu_table gdtr;
    struct vcpu_table idtr;

    // VCPU_GROUP_MSRS
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat;
    uint64_t tsc_offset; // added to the host TSC by RDTSC in the guest

    // VCPU_GROUP_DEBUG
    uint64_t dr[4];
    uint64_t dr6;
    uint64_t dr7;

    // VCPU_GROUP_XCR0
    uint64_t xcr0;

    // VCPU_GROUP_APIC, where vcpu_info.apic_page is not 0
    uint32_t apic_mode;        // enum vcpu_apic_mode
    uint32_t interrupt_status; // "Guest Interrupt Status": requested 7:0, in service 15:8
    uint64_t eoi_exit[4];      // vectors whose end of interrupt exits, 64 a word
};
static_assert(sizeof(struct vcpu_page) <= 4096, "one page per vCPU");
static_assert(offsetof(struct vcpu_page, rip) == 136, "guest entry code relies on gpr, cr2, rip");
static_assert(offsetof(struct vcpu_page, dirty) % 8 == 0 &&
                  offsetof(struct vcpu_page, event) == offsetof(struct vcpu_page, dirty) + 4,
              "an entry looks at both in one word");
static_assert(offsetof(struct vcpu_page, request_window) % 8 == 0, "and at all requests");
static_assert(offsetof(struct vcpu_page, request_nmi_window) % 8 == 2, "and at both windows");

// vcpu_run flags.
#define VCPU_RUN_FETCH 1u // fill `wanted` groups, do not enter the guest
#define VCPU_RUN_LOG   2u // write a record of each exit; see exit_log.h
