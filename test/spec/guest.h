// SPDX-License-Identifier: MIT
// The specification of VMs and vCPUs as the threads of a monitor meet them: the SYS_VM_* and
// SYS_VCPU_* calls, which exits the kernel finishes by itself and how, and the log of exits.
// grant.h has guest memory, vcpu.h what an entry does with the guest's state.
//
// A run of a vCPU is told step by step. After each one `phase` says what the kernel does next.
#pragma once

#include "test/spec/handle.h"
#include "test/spec/rule.h"

#define SPEC_GUESTS           6u // VMs, at a time
#define SPEC_CORES            16u
#define SPEC_GUEST_PAGES      8u // of a VM before it has vCPUs or memory
#define SPEC_CORE_PAGES       6u // of a vCPU: its object, the shared page, the backend's four
#define SPEC_CPUID_ENTRIES    128u
#define SPEC_EXIT_REASONS     80u
#define SPEC_LOG_RECORDS      16u
#define SPEC_CPUID_SUBLEAF    1u
#define SPEC_CPUID_OSXSAVE    2u
#define SPEC_CPUID_ASK        4u
#define SPEC_RUN_FETCH        1u
#define SPEC_RUN_LOG          2u
#define SPEC_HANDLES_OF_START 2u // of each process, which are not closed

// Kinds of handles, as the kernel numbers them.
enum spec_guest_handle { SPEC_HANDLE_GUEST = 6, SPEC_HANDLE_CORE = 7 };

struct spec_cpuid {
    uint32_t leaf, subleaf, flags;
    uint32_t eax, ebx, ecx, edx;
};

struct spec_guest {
    bool exists;    // a handle names it, or one of its vCPUs
    uint32_t cores; // that were made: they stay until the VM ends, and so does what they cost
    uint32_t logs;
    uint32_t intercepts;
    uint32_t cpuid_count;
    struct spec_cpuid cpuid[SPEC_CPUID_ENTRIES];
    uint64_t floating[65536 / 64]; // a bit for each port without a device
};

enum spec_phase {
    SPEC_OUTSIDE, // nobody runs it
    SPEC_ENTER,   // the guest is entered next
    SPEC_HALTED,  // the thread sleeps until an event or the deadline
    SPEC_RETURN,  // the call returns: `returned`, with `status`
};

// With what a run comes back. The last is an exit of the guest's own.
enum spec_returned { SPEC_BY_NOTHING, SPEC_BY_EVENT, SPEC_BY_DEADLINE, SPEC_BY_KILL, SPEC_BY_EXIT };

struct spec_exit_record {
    uint64_t resumed; // TSC at the entry, and at the exit behind it
    uint64_t exited;
    uint64_t before[4]; // RAX, RCX, RDX, RBX at the exit and at the next entry
    uint64_t after[4];
    uint32_t event; // injected at the next entry
};

struct spec_core { // a vCPU
    bool exists;
    uint32_t guest;
    uint32_t index;
    uint32_t thread; // that alone runs it; SPEC_NONE: it ended, or the handle was closed
    uint32_t cpu;
    uint32_t handle;

    enum spec_phase phase;
    bool logged; // this run
    enum spec_returned returned;
    uint64_t events; // that runs told; the monitor clears them
    uint64_t registers[4];
    bool skipped; // the guest goes on behind the instruction that exited

    uint64_t to_monitor; // runs, each of which comes back
    uint64_t finished[SPEC_EXIT_REASONS];
    bool has_log;
    uint64_t begun; // records of the log; all but the last of them are complete
    uint64_t lost;
    struct spec_exit_record records[SPEC_LOG_RECORDS];
};

struct spec_guests {
    bool offered; // the processor has virtualisation
    struct spec_handles handles;
    struct spec_guest guests[SPEC_GUESTS];
    struct spec_core cores[SPEC_CORES];
};

// -- system calls ---------------------------------------------------------------------------------

// Pages that the process's container pays for VMs.
uint64_t spec_guests_pages(const struct spec_guests *now);
// Null, or the words of the first invariant that does not hold.
const char *spec_guests_invariant(const struct spec_guests *now);

// `quota`: pages that the container has left. *number: handle, the lowest free one.
enum spec_rule guest_make_spec(const struct spec_guests *now, uint64_t quota,
                               struct spec_guests *next, uint32_t *number);
enum spec_rule guest_find_spec(const struct spec_guests *now, uint64_t number, uint32_t *guest);

// `readable`: the caller can read the entries. `quota` is needed while the table is built.
enum spec_rule guest_cpuid_spec(const struct spec_guests *now, uint64_t number, uint64_t quota,
                                bool readable, const struct spec_cpuid *entries, uint64_t count,
                                struct spec_guests *next);
// `kept`: the backend keeps all of these MSRs with each vCPU.
enum spec_rule guest_msrs_spec(const struct spec_guests *now, uint64_t number, uint64_t first,
                               uint64_t last, uint64_t policy, bool kept);
enum spec_rule guest_ports_spec(const struct spec_guests *now, uint64_t number, uint64_t first,
                                uint64_t last, uint64_t policy, struct spec_guests *next);
// *lacking: those that the processor does not have, of which it has `had`.
enum spec_rule guest_intercept_spec(const struct spec_guests *now, uint64_t number,
                                    uint64_t intercepts, uint32_t had, struct spec_guests *next,
                                    uint32_t *lacking);
enum spec_rule guest_statistics_spec(const struct spec_guests *now, uint64_t number, bool writable);

// A vCPU for `thread` on `cpu`. `room`: for a page in the process's address space.
enum spec_rule core_make_spec(const struct spec_guests *now, uint64_t number, uint64_t quota,
                              bool writable, bool room, uint32_t thread, uint32_t cpu,
                              struct spec_guests *next, uint32_t *made);
// The running thread's own vCPU; a vCPU answers to no other thread.
enum spec_rule core_find_spec(const struct spec_guests *now, uint32_t thread, uint64_t number,
                              uint32_t *core);
enum spec_rule core_read_spec(const struct spec_guests *now, uint32_t thread, uint64_t number,
                              bool known, bool writable);
enum spec_rule core_log_spec(const struct spec_guests *now, uint32_t thread, uint64_t number,
                             uint64_t quota, bool room, struct spec_guests *next);
// A handle of a VM or vCPU is closed on `cpu`; or one that does not exist.
enum spec_rule guest_close_spec(const struct spec_guests *now, uint32_t cpu, uint64_t number,
                                struct spec_guests *next);
// The thread ends: nobody can run its vCPU any more.
void core_thread_ended_spec(const struct spec_guests *now, uint32_t thread,
                            struct spec_guests *next);

// -- runs (guest_run.c)
// -----------------------------------------------------------------------------

// What the kernel looks at between entries.
struct spec_poll {
    uint64_t events; // of the thread
    bool halted;     // the monitor says so in the page
    bool late;       // its deadline has passed
    bool killed;
    uint64_t taken; // records of the log, says the monitor
};

// SYS_VCPU_RUN begins. When it is allowed: *core, and its phase.
enum spec_rule core_run_spec(const struct spec_guests *now, uint32_t thread, uint64_t number,
                             uint64_t flags, const struct spec_poll *poll, struct spec_guests *next,
                             uint32_t *core);

enum spec_exit_kind {
    SPEC_EXIT_MONITOR, // nothing for the kernel
    SPEC_EXIT_CPUID,
    SPEC_EXIT_PORT,      // the first port has no device
    SPEC_EXIT_INTERRUPT, // of the host; its handler has run
    SPEC_EXIT_NMI,
    SPEC_EXIT_MACHINE_CHECK,
    SPEC_EXIT_TIMER, // the time of the run is over
};

struct spec_exit {
    enum spec_exit_kind kind;
    uint32_t reason;   // the processor's number
    bool entered;      // false: the time was over before
    uint32_t answered; // CPUID exits on the way, to which the backend gave the table's answer
    uint64_t resumed, exited;
    uint64_t registers[4]; // RAX, RCX, RDX, RBX
    bool osxsave;          // CR4.OSXSAVE of the guest
    uint32_t port, size;   // as the page says: whatever the monitor wrote there meanwhile
    bool in;
};

// The guest was entered, with `event` injected, and is left.
void core_exit_spec(const struct spec_guests *now, uint32_t core, const struct spec_exit *exit,
                    uint32_t event, const struct spec_poll *poll, struct spec_guests *next);

// The thread of a halted vCPU is woken; if nothing of `poll` came, it sleeps on.
void core_wake_spec(const struct spec_guests *now, uint32_t core, const struct spec_poll *poll,
                    struct spec_guests *next);

// The call has returned.
void core_returned_spec(const struct spec_guests *now, uint32_t core, struct spec_guests *next);
