// SPDX-License-Identifier: MIT
// The instruction emulator: (state, memory) -> (state', effects).
//
// It executes one instruction of the guest that touched memory without RAM behind it, or moved a
// string through a port. State is the vCPU's shared page; every effect goes through the operations
// the caller passes. No globals, no locks, no allocation. The monitor's memory and port exits call
// it; host tests and the fuzzer run the same files.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "kernel/abi/vcpu.h"
#include "kernel/lib/address.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

#define EMULATE_LENGTH_MAXIMUM 15u // bytes of one instruction

// Exception vectors the emulator and the guest page walk raise.
enum emulate_vector {
    EMULATE_VECTOR_DIVIDE = 0,
    EMULATE_VECTOR_UNDEFINED = 6,
    EMULATE_VECTOR_STACK = 12,
    EMULATE_VECTOR_PROTECTION = 13,
    EMULATE_VECTOR_PAGE = 14,
    EMULATE_VECTOR_ALIGNMENT = 17,
};

// What an access does. A read-modify-write is checked as READ | WRITE before its first byte moves.
enum emulate_access {
    EMULATE_READ = 1u << 0,
    EMULATE_WRITE = 1u << 1,
    EMULATE_FETCH = 1u << 2,
};

// An exception for the guest. Inject as a hardware exception; `address` goes to CR2 for vector 14.
struct emulate_fault {
    uint64_t address;
    uint32_t error_code;
    uint8_t vector; // enum emulate_vector
    bool has_error_code;
};

// How the emulator reaches the guest. Addresses are linear (segment base applied, checked for
// canonical form and limit); the caller walks the guest's page tables with the privilege level
// emulate_cpl() gives, and reaches RAM or a device. An access is 1 to 16 bytes and may cross a
// page: every byte is translated and checked before the first one is moved, and a RAM part and a
// device part are served each by its own. A device access keeps its size where it does not cross.
//
// Each returns STATUS_OK; STATUS_FAULT with *fault filled in (a page fault); or another status,
// which ends the emulation with EMULATE_FAILED and changes nothing further.
struct emulate_operations {
    // `access` is EMULATE_READ, EMULATE_READ | EMULATE_WRITE, or EMULATE_FETCH.
    enum status (*read)(void *context, gva_t address, void *buffer, uint32_t size, uint32_t access,
                        struct emulate_fault *fault);
    enum status (*write)(void *context, gva_t address, const void *buffer, uint32_t size,
                         struct emulate_fault *fault);
    // The checks of an access without the access.
    enum status (*probe)(void *context, gva_t address, uint32_t size, uint32_t access,
                         struct emulate_fault *fault);
    // INS and OUTS only; may be null where no port exit is emulated. `size` is 1, 2 or 4 bytes.
    enum status (*port_in)(void *context, uint16_t port, uint32_t size, uint32_t *value);
    enum status (*port_out)(void *context, uint16_t port, uint32_t size, uint32_t value);
};

enum emulate_outcome {
    EMULATE_DONE,        // the instruction is complete, RIP is past it
    EMULATE_AGAIN,       // a REP instruction did some iterations; registers are consistent, RIP is
                         // still at it: take interrupts, then emulate again or enter the guest
    EMULATE_EXCEPTION,   // `fault` is for the guest; RIP is at the instruction
    EMULATE_UNSUPPORTED, // not an instruction we emulate: `bytes` are for the report
    EMULATE_FAILED,      // an operation returned `status`
};

struct emulate_result {
    enum emulate_outcome outcome;
    enum status status;         // EMULATE_FAILED
    struct emulate_fault fault; // EMULATE_EXCEPTION
    bool single_step;           // DONE or AGAIN with RFLAGS.TF set: a debug trap is due (DR6.BS)
    uint8_t length;             // instruction bytes decoded so far
    uint8_t fetched;            // valid entries in bytes[]
    uint8_t bytes[EMULATE_LENGTH_MAXIMUM];
};

// Iterations of a REP instruction done by one call, at most.
#define EMULATE_REPEAT_MAXIMUM 1024u

struct decode_cache; // vmm/emulate/decode.h

// Emulates the instruction at page->rip. Needs VCPU_GROUP_RIP, _CONTROL and _SEGMENTS valid in
// `page`; changes gpr[], rip, rflags and interruptibility, and sets VCPU_GROUP_RIP in `dirty`, only
// where the instruction does. `operations` and `context` are used during the call alone. The result
// is written completely. I/O permission is not checked: the processor did so before it exited.
// Source: the manual's "Instruction Format" and "Instruction Set Reference" chapters.
void emulate_instruction(struct vcpu_page *page, const struct emulate_operations *operations,
                         void *context, struct emulate_result *result);

// The same with the help of `cache`, which starts out as zeros and may be kept as long as one
// likes.
void emulate_instruction_cached(struct vcpu_page *page, const struct emulate_operations *operations,
                                void *context, struct decode_cache *cache,
                                struct emulate_result *result);

// Moves RIP past an instruction of `length` bytes that was emulated: the one place that does.
// Clears RFLAGS.RF and the blocking by STI and MOV SS, marks VCPU_GROUP_RIP dirty. Outside 64-bit
// mode RIP stays below 4 GiB (known only where VCPU_GROUP_CONTROL is valid). Returns
// true when RFLAGS.TF was set and a debug trap is due.
bool emulate_advance(struct vcpu_page *page, uint32_t length);

// The vCPU's current privilege level (DPL of SS). Needs VCPU_GROUP_SEGMENTS.
unsigned emulate_cpl(const struct vcpu_page *page);

// Default address and operand width of the code that runs: 16, 32 or 64 bits (64: long mode with
// CS.L). Needs VCPU_GROUP_CONTROL.
unsigned emulate_mode(const struct vcpu_page *page);
