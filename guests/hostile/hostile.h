// SPDX-License-Identifier: MIT
// A guest that means ill: random events, each tried under a net that catches whatever exception it
// raises and puts the processor back in order. One CPU; everything random comes from one seed.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// -- the net (machine.c, traps.asm) -----------------------------------------------------------

// Takes over the descriptor tables, interrupt vectors and page tables, and maps the window.
void machine_init(uint64_t ram_bytes);

// Runs `event` to its end or to its first exception, then puts the processor back in order.
// 0, or the exception's vector + 1.
uint32_t machine_try(void (*event)(void));

// Enters ring 3 at `rip` with random general registers and RFLAGS = `rflags`; never returns: an
// exception, the end of a few single steps or the timer ends the event.
void machine_enter_user(uint64_t rip, uint64_t rflags);

// An interrupt ends the event some time from now, if the event lets it.
void machine_start_watchdog(void);

// -- the window: a few virtual pages whose translation each event chooses -------------------------

#define WINDOW       0x100000000ull // virtual, 2 MiB
#define PAGE_BYTES   0x1000u
#define WINDOW_MMIO  0u    // two pages: any guest-physical addresses
#define WINDOW_CODE  2u    // two pages of memory, for ring 3 as well
#define WINDOW_DATA  4u    // the same
#define WINDOW_WILD  6u    // an entry of any content
#define ENTRY_MEMORY 0x7u  // present, writable, user
#define ENTRY_DEVICE 0x1bu // present, writable, uncached

static inline uint8_t *window_page(unsigned number)
{
    return (uint8_t *)(uintptr_t)(WINDOW + (uint64_t)number * PAGE_BYTES);
}

void window_map(unsigned number, uint64_t entry);

// Where guest RAM ends, in bytes; its last MiB is nobody's and may be scribbled over.
extern uint64_t machine_ram;

// -- randomness -------------------------------------------------------------------------------

uint64_t random_next(void);
void random_seed(uint64_t seed);

static inline uint32_t random_below(uint32_t limit)
{
    return (uint32_t)((random_next() >> 32) * limit >> 32);
}

// A number whose size is random too, so that small ones, single bits and all ones come up.
uint64_t random_wild(void);

// An address where no memory is, or only memory that may be scribbled over.
uint64_t random_physical(void);

// -- events (events_*.c) ----------------------------------------------------------------------

extern bool deadly; // events that may end the VM are allowed

void event_port(void);
void event_port_string(void);
void event_msr(void);
void event_cpuid(void);
void event_device_memory(void);
void event_ipi_flood(void);
void event_timer(void);
void event_vmcall(void);
void event_vmx(void);
void event_control_register(void);
void event_debug_register(void);
void event_segment(void);
void event_descriptor_table(void);
void event_page_table(void);
void event_code(void);
void event_self_modifying(void);
void event_user_bytes(void);
void event_kernel_bytes(void); // deadly
void event_end(void);          // deadly: one of the ways below

// 0 triple fault, 1 and 2 resets, 3 test exit, 4 page tables, 5 descriptor tables, 6 code where no
// memory is, 7 a halt for ever. May come back.
void event_end_by(uint32_t way);
