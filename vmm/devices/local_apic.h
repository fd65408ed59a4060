// SPDX-License-Identifier: MIT
// The local APIC of one processor: one register file with two faces, the memory-mapped one (xAPIC)
// and the MSRs 0x800-0x83f (x2APIC), after the manual's "Advanced Programmable Interrupt
// Controller". It knows its processor only as a number; what the processor has to look at is in
// `attention`. Interrupt messages to and from others go over the apic_bus. Guarded like the whole
// platform: one thread at a time.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"
#include "kernel/lib/processor.h"
#include "vmm/devices/clock.h"
#include "vmm/devices/device.h"
#include "vmm/devices/vector_set.h"

#define LOCAL_APIC_ADDRESS   0xfee00000u // where it is after power-on, guest-physical
#define LOCAL_APIC_BYTES     0x1000u
#define LOCAL_APIC_MSR       0x800u // the first of its MSRs
#define LOCAL_APIC_MSR_COUNT 0x40u
#define LOCAL_APIC_REGISTERS 0x40u // 16 bytes apart in memory, one MSR each

// Register numbers: offset / 16, or MSR - 0x800.
enum local_apic_register {
    APIC_ID = 0x02,
    APIC_VERSION = 0x03,
    APIC_TPR = 0x08,
    APIC_APR = 0x09,
    APIC_PPR = 0x0a,
    APIC_EOI = 0x0b,
    APIC_RRD = 0x0c,
    APIC_LDR = 0x0d,
    APIC_DFR = 0x0e,
    APIC_SPURIOUS = 0x0f,
    APIC_ISR = 0x10,
    APIC_TMR = 0x18,
    APIC_IRR = 0x20,
    APIC_ESR = 0x28,
    APIC_ICR = 0x30,
    APIC_ICR_HIGH = 0x31,
    APIC_LVT = 0x32, // timer, thermal, performance, LINT0, LINT1, error
    APIC_LVT_LAST = 0x37,
    APIC_INITIAL_COUNT = 0x38,
    APIC_CURRENT_COUNT = 0x39,
    APIC_DIVIDE = 0x3e,
    APIC_SELF_IPI = 0x3f,
};

enum local_apic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR };
#define LVT_COUNT 6u

#define APIC_MODE_FIXED  (0u << 8)
#define APIC_MODE_LOWEST (1u << 8)
#define APIC_MODE_SMI    (2u << 8)
#define APIC_MODE_NMI    (4u << 8)
#define APIC_MODE_INIT   (5u << 8)
#define APIC_MODE_SIPI   (6u << 8)
#define APIC_MODE_EXTINT (7u << 8)
#define APIC_MODE_MASK   (7u << 8)
#define APIC_MASKED      (1u << 16)

// What the processor has to look at, in local_apic.attention.
#define APIC_ATTENTION_VECTOR (1u << 0) // an interrupt above the processor's priority
#define APIC_ATTENTION_NMI    (1u << 1)
#define APIC_ATTENTION_INIT   (1u << 2)
#define APIC_ATTENTION_SIPI   (1u << 3) // the page to start in: local_apic.startup_page
#define APIC_ATTENTION_NMI2   (1u << 4) // a second NMI behind the first

struct apic_bus;

struct local_apic {
    struct device device; // its page
    uint32_t *page;       // the virtual-APIC page; null: the processor has none
    bool is_virtual;      // the page shows the registers, and its ISR is the only one
    struct apic_bus *bus;
    const struct clock *clock;
    uint64_t base;            // IA32_APIC_BASE
    uint64_t timer_due;       // host TSC of the timer's next expiry; CLOCK_NEVER: none
    uint64_t timer_start;     // host TSC at which the present count began
    uint64_t tsc_deadline;    // IA32_TSC_DEADLINE, in the guest's TSC
    uint64_t tsc_offset;      // guest TSC - host TSC
    uint32_t ticks_per_count; // host TSC ticks per timer input clock
    uint32_t index;           // on the bus, and the initial APIC ID
    uint32_t attention;       // APIC_ATTENTION_*
    uint32_t id;              // as programmed; in x2APIC mode the index
    uint32_t tpr;
    uint32_t logical;  // LDR, xAPIC format: bits 31-24
    uint32_t format;   // DFR
    uint32_t spurious; // SVR
    uint32_t errors;   // since the last write of the ESR
    uint32_t esr;      // what reading shows
    uint32_t icr_low, icr_high;
    uint32_t lvt[LVT_COUNT];
    uint32_t initial_count;
    uint32_t divide;
    struct vector_set irr, isr, tmr;
    bool tmr_changed;     // since whoever reads it has cleared this
    bool all_ends;        // the processor was told that the end of every interrupt is of interest
    uint8_t startup_page; // vector of the start-up IPI
    uint64_t maximum_address; // first guest-physical address beyond the processor's
};

// What a local APIC is connected to.
struct local_apic_wiring {
    struct apic_bus *bus;
    const struct clock *clock;
    uint32_t index;
    uint32_t ticks_per_count;
    unsigned physical_bits;
};

// Makes the local APIC `wiring->index` as after power-on and puts it on the bus.
void local_apic_init(struct local_apic *apic, const struct local_apic_wiring *wiring);

// Power-on state. The boot processor's (index 0) passes the PIC's interrupts on through LINT0 and
// NMIs through LINT1, as firmware leaves it ("Virtual Wire Mode").
void local_apic_power_on(struct local_apic *apic);

// What an INIT does: as after power-on, but the ID and IA32_APIC_BASE stay.
void local_apic_init_signal(struct local_apic *apic);

// IA32_APIC_BASE. False: the value or the transition is not allowed, and nothing was changed.
MUST_CHECK bool local_apic_set_base(struct local_apic *apic, uint64_t value);

static inline bool local_apic_enabled(const struct local_apic *apic)
{
    return (apic->base & APIC_BASE_ENABLE) != 0;
}
static inline bool local_apic_is_x2apic(const struct local_apic *apic)
{
    return (apic->base & APIC_BASE_X2APIC) != 0;
}

// RDMSR and WRMSR of LOCAL_APIC_MSR + `reg`, reg below LOCAL_APIC_MSR_COUNT. False: #GP, nothing
// was changed.
MUST_CHECK bool local_apic_read_msr(struct local_apic *apic, uint32_t reg, uint64_t *value);
MUST_CHECK bool local_apic_write_msr(struct local_apic *apic, uint32_t reg, uint64_t value);

// The task-priority register as CR8 shows it (0-15).
static inline uint32_t local_apic_task_priority(const struct local_apic *apic)
{
    return apic->tpr >> 4;
}
void local_apic_set_task_priority(struct local_apic *apic, uint32_t cr8);

// End of interrupt: what writing the EOI register does; and what is left of that where the
// processor has ended `vector` in the page.
void local_apic_end_of_interrupt(struct local_apic *apic);
void local_apic_ended(struct local_apic *apic, uint32_t vector);

// A fixed or lowest-priority interrupt arrives. Software-disabled: it is lost. True when the vector
// did not wait already.
bool local_apic_accept(struct local_apic *apic, uint32_t vector, bool level);

// The interrupt that the processor would take now, its own flag aside; 0: none. On its own thread.
uint32_t local_apic_next(const struct local_apic *apic);

// It takes that: `vector` is local_apic_next's, not 0.
void local_apic_take(struct local_apic *apic, uint32_t vector);

// Both in one: the vector, or the spurious one where there is none.
uint8_t local_apic_acknowledge(struct local_apic *apic);

// True when INTR of the PIC reaches the processor: through LINT0, or directly when the local APIC
// is off. It sets nothing in service.
static inline bool local_apic_passes_pic(const struct local_apic *apic)
{
    return !local_apic_enabled(apic) ||
           (apic->lvt[LVT_LINT0] & (APIC_MASKED | APIC_MODE_MASK)) == APIC_MODE_EXTINT;
}

// The processor-priority register: the higher of the task's and the served interrupt's class.
uint32_t local_apic_priority(const struct local_apic *apic);

// Recomputes APIC_ATTENTION_VECTOR after a change of IRR, ISR or TPR; tells the bus when it rises.
void local_apic_update(struct local_apic *apic);

// Records an error bit of the ESR and raises the error interrupt.
void local_apic_error(struct local_apic *apic, uint32_t bit);
#define APIC_ERROR_SEND_VECTOR    (1u << 5)
#define APIC_ERROR_RECEIVE_VECTOR (1u << 6)
#define APIC_ERROR_REGISTER       (1u << 7)

// -- the virtual-APIC page (local_apic_virtual.c) -------------------------------------------------

// In x2APIC mode the processor itself may read registers for the guest out of the virtual-APIC
// page, and end interrupts there. Then nobody is told of the end of an interrupt, and the ISR is
// looked at by the processor's own thread alone: APIC_ATTENTION_VECTOR says that some interrupt
// waits, local_apic_next whether it is above the priority.

// Takes over or gives up, as the mode demands; puts all registers into the page. Call it after a
// change of IA32_APIC_BASE and after an INIT, on the processor's own thread.
void local_apic_choose_mode(struct local_apic *apic);

// The highest vector in the page's ISR; 0: none.
uint32_t local_apic_page_served(const struct local_apic *apic);

// For local_apic.c. The page follows a register that was written; one more vector in service.
void local_apic_mirror(struct local_apic *apic, uint32_t reg);
void local_apic_page_serve(struct local_apic *apic, uint32_t vector);
// A register as reading shows it.
uint32_t local_apic_register(struct local_apic *apic, uint32_t reg);

// -- timer (local_apic_timer.c) -------------------------------------------------------------------

// Raises the timer's interrupt if it is due by the clock.
void local_apic_run_timer(struct local_apic *apic);

// IA32_TSC_DEADLINE. Without effect, and 0, outside of TSC-deadline mode.
void local_apic_set_deadline(struct local_apic *apic, uint64_t value);
static inline uint64_t local_apic_deadline(const struct local_apic *apic)
{
    return apic->tsc_deadline;
}

// The guest's TSC now runs `offset` ahead of the host's.
void local_apic_set_tsc_offset(struct local_apic *apic, uint64_t offset);

// The machine did not see `ticks` of the host's TSC pass: `offset` is the guest's new one.
void local_apic_skip_time(struct local_apic *apic, uint64_t ticks, uint64_t offset);

// For local_apic.c: the count registers and the LVT entry.
uint32_t local_apic_current_count(const struct local_apic *apic);
void local_apic_set_initial_count(struct local_apic *apic, uint32_t value);
void local_apic_set_divide(struct local_apic *apic, uint32_t value);
void local_apic_set_timer_entry(struct local_apic *apic, uint32_t value);
