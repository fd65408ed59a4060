// SPDX-License-Identifier: MIT
// The local APIC in xAPIC or x2APIC mode, and its timer ("Advanced Programmable Interrupt
// Controller"). Each CPU touches only its own; set-up values are constant after boot; no lock.
// APIC_BASE.EN is never cleared.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "arch/x86/paging/page_table.h"
#include "kernel/lib/compiler.h"
#include "kernel/lib/status.h"

// Boot CPU: chooses x2APIC where there is one, maps the registers otherwise, then enables this
// CPU's APIC. `address`: from acpi_information. `spurious`, `timer`: vectors from 32 on; spurious
// ends in 0xf. Errors: those of mapping.
MUST_CHECK enum status local_apic_initialize(uint64_t address, uint8_t spurious, uint8_t timer,
                                             const struct page_source *source);

// Every other CPU, after local_apic_timer_calibrated: enables its APIC and sets up its timer.
void local_apic_start(void);

uint32_t local_apic_id(void);
void local_apic_end_of_interrupt(void);

// Interrupts another CPU, by its local APIC's id: a vector from 32 on, or one of these. INIT resets
// a processor; START, with the number of the page of start-up code in the first 256, starts one
// that was reset ("Multiple-Processor (MP) Initialization"). The caller keeps the times between
// them.
#define LOCAL_APIC_NMI   (4u << 8)
#define LOCAL_APIC_INIT  (5u << 8)
#define LOCAL_APIC_START (6u << 8)
void local_apic_send(uint32_t apic_id, uint32_t command);

// True when IPIs reach this id.
bool local_apic_reaches(uint32_t apic_id);

// Arms the timer of this CPU to interrupt once when the TSC reaches `tsc` (at once if it has
// passed), replacing what was armed; UINT64_MAX: never. Needs local_apic_timer_calibrated.
void local_apic_timer_set(uint64_t tsc);

// Tells the timer code both frequencies (drivers/time_base.h); chooses TSC-deadline mode or
// one-shot.
void local_apic_timer_calibrated(uint64_t tsc_hz, uint64_t apic_timer_hz);

// Counter access for the calibration: start counting down from the maximum, masked; ticks so far.
void local_apic_timer_start_count(void);
uint32_t local_apic_timer_elapsed(void);
