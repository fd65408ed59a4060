// SPDX-License-Identifier: MIT
// The system calls: numbers, argument structures, and what each does.
//
// Entry is SYSENTER: rax = number, arguments in rdi, rsi, r8, r9, r10; rcx = user stack pointer to
// return with, rdx = address to return to. rax returns a value >= 0 or -(enum status). rbx, rbp,
// r12-r15 are kept; the other general registers come back as zero. Every argument is validated
// before anything changes. The C wrappers are in vmm/runtime/system_call.h.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/abi/vm_support.h"
#include "kernel/lib/compiler.h"

enum system_call {
    // -- threads, events, time ------------------------------------------------------------
    SYS_NULL,          // (): 0. For the benchmark.
    SYS_PROCESS_EXIT,  // (code): ends the calling process with all its threads
    SYS_THREAD_CREATE, // (entry, stack_top, argument, cpu): handle of a new thread of this process,
                       // of the CPU that THREAD_CPU names, or with 0 of the one that has the
                       // fewest threads. A thread stays on its CPU. STATUS_INVALID: no such CPU
    SYS_THREAD_EXIT,   // ()
    SYS_THREAD_YIELD,  // ()
    SYS_EVENT_WAIT,    // (deadline_tsc): blocks until an event bit of this thread is set or the
                       // absolute TSC deadline passes (0: none); returns and clears the bits
    SYS_EVENT_SIGNAL,  // (thread handle, bits): sets event bits of a thread of this process; this
                       // is also the kick of a running vCPU. Bits 0 to 62.
    // -- memory ---------------------------------------------------------------------------
    SYS_MEMORY_ALLOCATE,  // (bytes): maps that much zeroed memory, charged to the process's
                          // container, read-write, 2 MiB pages (and so aligned) from 2 MiB up;
                          // returns its address
    SYS_MEMORY_FREE,      // (address, bytes): exactly what MEMORY_ALLOCATE returned
    SYS_CONTAINER_SPLIT,  // (container handle, pages, weight): handle of a new child with that
                          // quota. weight 0: its threads live on the parent's share of the CPU; 1
                          // to 1000: on one of their own, root only (the first process has 100);
                          // 255 such containers at a time
    SYS_CONTAINER_INFO,   // (container handle, struct container_info *)
    SYS_CONTAINER_REVOKE, // (container handle): ends what is charged to the child, returns its
                          // quota
    // -- processes ------------------------------------------------------------------------
    SYS_MODULE_OPEN,     // (index, struct module_info *): handle of a boot module; root only
    SYS_MODULE_INFO,     // (module handle, struct module_info *)
    SYS_MODULE_MAP,      // (module handle): maps it read-only; returns its address
    SYS_PROCESS_CREATE,  // (struct process_arguments *): handle of a new process, running
    SYS_PROCESS_BIND,    // (process handle, bit): its end sets this event bit of the caller, which
                         // is another process: else nobody would learn of it
    SYS_PROCESS_STATUS,  // (process handle, struct process_status *)
    SYS_PROCESS_DESTROY, // (process handle): ends it, returns everything, closes the handle
    // -- channels -------------------------------------------------------------------------
    SYS_CHANNEL_CREATE, // (): handle of a new channel, charged to the caller's container
    SYS_CHANNEL_SEND,   // (channel handle, buffer, bytes <= 4096): sleeps while the slot is taken;
                        // returns the bytes sent
    SYS_CHANNEL_TRY_SEND, // the same, but STATUS_BUSY instead of sleeping
    SYS_CHANNEL_RECEIVE,  // (channel handle, buffer, capacity): bytes, or STATUS_EMPTY,
                          // or STATUS_TOO_SMALL (the message is kept)
    SYS_CHANNEL_EXCHANGE, // (channel, channel to send to, buffer, bytes, capacity): sends the bytes
                          // in the buffer as SEND does (0: none, and that handle is not looked
                          // at), then sleeps until the first channel, which must be bound to the
                          // caller, has a message, and receives it into the buffer; returns its
                          // bytes. Nothing was sent: STATUS_INVALID, STATUS_FAULT (not readable,
                          // or not writable for what a message takes of the capacity),
                          // STATUS_STATE (not bound to the caller). Only after that:
                          // STATUS_TOO_SMALL (the message is kept)
    SYS_CHANNEL_BIND,     // (channel handle, bit): a message arriving sets this bit of the caller
    SYS_HANDLE_CLOSE,     // (handle)
    // -- device owner (the console process) ------------------------------------------------
    SYS_SERIAL_BIND,   // (port, receive bit, transmit bit): events for input there, and for the
                       // transmit ring falling below half
    SYS_SERIAL_PUTC,   // (port, character): polled; returns the character
    SYS_SERIAL_WRITE,  // (port, buffer, bytes): queues for transmission; returns bytes accepted
    SYS_SERIAL_READ,   // (port, buffer, bytes): pops what the console ring of the port holds
    SYS_SERIAL_LOST,   // (port): characters that came while the console ring was full; for each the
                       // oldest in it went
    SYS_CONS_BUF_READ, // (port): the oldest character of the console ring, or -STATUS_EMPTY
    SYS_SERIAL_INTR_DISABLE, // (port)
    SYS_SERIAL_INTR_ENABLE,  // (port)
    SYS_LOG_READ,            // (buffer, bytes): pops kernel log text; from the first call on, the
                             // kernel no longer writes it to the serial port itself
    SYS_LOG_BIND,            // (bit): new kernel log text sets this bit
    SYS_DEBUG_WRITE,         // (buffer, bytes <= DEBUG_WRITE_MAXIMUM): to the emulator's debug port
                             // 0xe9; refused unless the kernel command line says "emulator"
    SYS_MACHINE_END,         // (status): ends the whole run: emulator exit ports where the kernel
                             // command line says "emulator", else halt. Root only.
    // -- virtual machines -------------------------------------------------------------------
    SYS_VM_CREATE,     // (): handle of a VM of this process, charged to its container
    SYS_VM_GRANT,      // (vm, gpa, address, bytes, VM_GRANT_*): the guest sees this memory of the
                       // process at gpa; 2 MiB pages are used where both are aligned
    SYS_VM_REVOKE,     // (vm, gpa, bytes)
    SYS_VM_SET_CPUID,  // (vm, const struct vm_cpuid_entry *, count <= VM_CPUID_MAXIMUM)
    SYS_VM_SET_MSR,    // (vm, first, last, enum vm_msr_policy)
    SYS_VM_SET_PORT,   // (vm, first, last, enum vm_port_policy)
    SYS_VM_INTERCEPT,  // (vm, VM_INTERCEPT_* or'ed): makes these exit; before the first vCPU. 0, or
                       // those that this processor lacks, and nothing was changed
    SYS_VCPU_CREATE,   // (vm, struct vcpu_info *): handle of a vCPU, its shared page mapped; all
                       // its registers are zero, so every group has to be loaded before a guest
                       // can be entered; the creating thread is the one that runs it
    SYS_VCPU_RUN,      // (vcpu, VCPU_RUN_*): runs the guest until something needs the monitor;
                       // 0, and the exit is in the shared page
    SYS_VCPU_READ,     // (vcpu, encoding, uint64_t *): a field of the VMCS (vmcs_fields.h), for
                       // reports; STATUS_NOT_FOUND: this processor has no such field
    SYS_VCPU_LOG,      // (vcpu): makes its log of exits, once; returns the address of its struct
                       // vcpu_log (exit_log.h)
    SYS_VM_STATISTICS, // (vm, struct vm_statistics *)
    SYSTEM_CALL_COUNT
};

#define DEBUG_WRITE_MAXIMUM 2048u

// CPU n (from 0, below process_info.cpu_count) in the arguments of calls that make threads.
#define THREAD_CPU(n) ((uint32_t)(n) + 1)

// Every process starts with these handles; what its creator passed follows.
#define HANDLE_SELF_CONTAINER  0
#define HANDLE_SELF_PROCESS    1
#define HANDLE_FIRST_PASSED    2
#define HANDLES_PASSED_MAXIMUM 24

struct container_info {
    uint64_t quota_pages;
    uint64_t used_pages; // own pages and the quotas of its children
    uint64_t children;
};

struct module_info {
    uint64_t bytes;
    char name[64];       // first word of the module's command line
    char arguments[448]; // the rest of it
};

struct process_arguments {
    uint32_t module;       // handle: a static ELF64 executable
    uint32_t container;    // handle: what the process may use
    uint32_t priority;     // 0 (ordinary) or 1 (before all ordinary threads)
    uint32_t handle_count; // handles passed on, in order, from HANDLE_FIRST_PASSED on
    uint32_t handles[HANDLES_PASSED_MAXIMUM];
    uint64_t arguments; // user address of bytes copied into process_info.arguments
    uint64_t argument_bytes;
    uint32_t cpu; // of its first thread: THREAD_CPU, or 0: the one that has the fewest threads
    uint32_t reserved;
};

struct process_status {
    uint32_t ended;   // 0: still running
    uint32_t faulted; // 1: killed by an exception; vector and addresses below
    uint64_t code;    // of SYS_PROCESS_EXIT
    uint64_t vector;
    uint64_t fault_address;
    uint64_t fault_rip;
};

// Read-only page given to each process; its address is in rdi at the entry point.
#define PROCESS_ARGUMENTS_MAXIMUM 2048
struct process_info {
    uint64_t tsc_hz;
    uint64_t free_pages; // of the machine when the process started
    uint32_t cpu_count;  // running host CPUs
    uint32_t module_count;
    uint32_t is_root; // 1: the first process; it owns the devices
    uint32_t argument_bytes;
    struct vm_support vm_support;
    uint8_t arguments[PROCESS_ARGUMENTS_MAXIMUM];
};
static_assert(sizeof(struct process_info) <= 4096, "one page");

#define VM_GRANT_READ    1u
#define VM_GRANT_WRITE   2u
#define VM_GRANT_EXECUTE 4u

#define VM_CPUID_MAXIMUM 128u
enum vm_cpuid_flags {
    VM_CPUID_SUBLEAF = 1u << 0, // matches this sub-leaf only; else any
    VM_CPUID_OSXSAVE = 1u << 1, // ECX bit 27 follows CR4.OSXSAVE
    VM_CPUID_ASK = 1u << 2,     // exit to the monitor
};
struct vm_cpuid_entry { // leaves without an entry read as zero
    uint32_t leaf;
    uint32_t subleaf;
    uint32_t flags;
    uint32_t eax, ebx, ecx, edx;
};

enum vm_msr_policy {
    VM_MSR_EXIT,        // EXIT_RDMSR, EXIT_WRMSR (every MSR's default)
    VM_MSR_PASSTHROUGH, // the guest's own, kept by the kernel with the vCPU; refused for others
                        // than FS/GS/KERNEL_GS base, STAR, LSTAR, CSTAR, SFMASK, TSC_AUX,
                        // SYSENTER_*, EFER, PAT
};
enum vm_port_policy {
    VM_PORT_EXIT,  // EXIT_PIO (every port's default)
    VM_PORT_FLOAT, // nothing there: reads give all ones, writes are lost; done in the kernel
};

// Exits that can be asked for: to watch a guest, and to exercise what handles them.
#define VM_INTERCEPT_INVLPG    (1u << 0) // INVLPG and INVPCID
#define VM_INTERCEPT_RDTSC     (1u << 1) // RDTSC and RDTSCP
#define VM_INTERCEPT_CR3       (1u << 2) // MOV to and from CR3
#define VM_INTERCEPT_DR        (1u << 3) // MOV to and from debug registers
#define VM_INTERCEPT_PAUSE     (1u << 4)
#define VM_INTERCEPT_STEP      (1u << 5) // each instruction: EXIT_STEP
#define VM_INTERCEPT_TABLES    (1u << 6) // LGDT, LIDT, LLDT, LTR, SGDT, SIDT, SLDT, STR
#define VM_INTERCEPT_RDRAND    (1u << 7)
#define VM_INTERCEPT_RDSEED    (1u << 8)
#define VM_INTERCEPT_VMFUNC    (1u << 9)
#define VM_INTERCEPT_USER_WAIT (1u << 10) // UMWAIT and TPAUSE, and VM_INTERCEPT_RDTSC with them
#define VM_INTERCEPT_GETSEC    (1u << 11)
#define VM_INTERCEPT_DIRTY     (1u << 12) // the first write to each page: EXIT_DIRTY before it
#define VM_INTERCEPT_APIC_PAGE (1u << 13) // accesses to the page granted at VM_APIC_PAGE: EXIT_APIC
#define VM_INTERCEPT_TPR       (1u << 14) // the same, and CR8 in a shadow: EXIT_APIC, once, too low
// Deliberate errors, to see what comes of them: the first entry ends in it.
#define VM_INTERCEPT_BAD_MSR    (1u << 15) // an MSR that entries cannot load: EXIT_ENTRY_REFUSED
#define VM_INTERCEPT_BAD_NESTED (1u << 16) // malformed nested tables: EXIT_MISCONFIGURATION

#define VM_APIC_PAGE 0xfee00000ull

struct vcpu_info {
    uint64_t page;      // user address of struct vcpu_page
    uint64_t apic_page; // of the virtual-APIC page; 0: no virtual-interrupt delivery here
    uint32_t index;
    uint32_t reserved;
};

struct vm_statistics {
    uint64_t exits_in_kernel; // handled without the monitor
    uint64_t exits_to_monitor;
    uint64_t guest_ticks; // TSC spent in the guest
    uint64_t granted_bytes;
    uint64_t kernel_by_reason[80]; // by basic exit reason, handled in the kernel
};
