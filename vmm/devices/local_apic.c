// SPDX-License-Identifier: MIT
// The local APIC's register file and its two faces, and how interrupts wait and are served. The
// timer is in local_apic_timer.c. Follows the manual's "Local APIC Register Address Map" and
// "x2APIC Register Address Space".
#include "vmm/devices/local_apic.h"

#include "kernel/lib/string.h"
#include "vmm/devices/apic_bus.h"

#define VERSION         (0x14u | (LVT_COUNT - 1) << 16)
#define SPURIOUS_ENABLE (1u << 8)
#define SPURIOUS_RESET  0xffu
#define FORMAT_FLAT     0xffffffffu
#define VECTOR_FIRST    16u // those below are illegal for interrupts
#define ICR_PENDING     (1u << 12)
#define ICR_DEFINED     0xcdfffu // the low half's bits in x2APIC mode, delivery status among them
#define BASE_FLAGS      (APIC_BASE_BSP | APIC_BASE_X2APIC | APIC_BASE_ENABLE)
#define LVT_READ_ONLY   (1u << 12) // delivery status
#define LVT_LINT_READ   (1u << 14) // remote IRR

#define READ   1u
#define WRITE  2u
#define XAPIC  4u // there in memory
#define X2APIC 8u // there as an MSR
#define BOTH   (XAPIC | X2APIC)

// What can be done with a register. `writable`: bits that a write changes; others are ignored in
// memory and get #GP as an MSR, where `ignored` are not set.
struct register_row {
    uint8_t access;   // READ, WRITE, with XAPIC and X2APIC
    uint8_t x2access; // as an MSR, where it is one; 0: the same
    uint32_t writable;
    uint32_t ignored;
};

#define VECTORS(first)                                                                             \
    [(first)] = {READ | BOTH, 0, 0, 0}, [(first) + 1] = {READ | BOTH, 0, 0, 0},                    \
    [(first) + 2] = {READ | BOTH, 0, 0, 0}, [(first) + 3] = {READ | BOTH, 0, 0, 0},                \
    [(first) + 4] = {READ | BOTH, 0, 0, 0}, [(first) + 5] = {READ | BOTH, 0, 0, 0},                \
    [(first) + 6] = {READ | BOTH, 0, 0, 0}, [(first) + 7] = {READ | BOTH, 0, 0, 0}

static const struct register_row rows[LOCAL_APIC_REGISTERS] = {
    [APIC_ID] = {READ | WRITE | BOTH, READ, 0xff000000, 0},
    [APIC_VERSION] = {READ | BOTH, 0, 0, 0},
    [APIC_TPR] = {READ | WRITE | BOTH, 0, 0xff, 0},
    [APIC_APR] = {READ | XAPIC, 0, 0, 0},
    [APIC_PPR] = {READ | BOTH, 0, 0, 0},
    [APIC_EOI] = {READ | WRITE | BOTH, WRITE, 0, 0},
    [APIC_RRD] = {READ | XAPIC, 0, 0, 0},
    [APIC_LDR] = {READ | WRITE | BOTH, READ, 0xff000000, 0},
    [APIC_DFR] = {READ | WRITE | XAPIC, 0, 0xf0000000, 0},
    [APIC_SPURIOUS] = {READ | WRITE | BOTH, 0, 0x1ff, 0},
    VECTORS(APIC_ISR),
    VECTORS(APIC_TMR),
    VECTORS(APIC_IRR),
    [APIC_ESR] = {READ | WRITE | BOTH, 0, 0, 0},
    [APIC_ICR] = {READ | WRITE | BOTH, 0, 0xccfff, 0},
    [APIC_ICR_HIGH] = {READ | WRITE | XAPIC, 0, 0xff000000, 0},
    [APIC_LVT + LVT_TIMER] = {READ | WRITE | BOTH, 0, 0x700ff, LVT_READ_ONLY},
    [APIC_LVT + LVT_THERMAL] = {READ | WRITE | BOTH, 0, 0x107ff, LVT_READ_ONLY},
    [APIC_LVT + LVT_PERFORMANCE] = {READ | WRITE | BOTH, 0, 0x107ff, LVT_READ_ONLY},
    [APIC_LVT + LVT_LINT0] = {READ | WRITE | BOTH, 0, 0x1a7ff, LVT_READ_ONLY | LVT_LINT_READ},
    [APIC_LVT + LVT_LINT1] = {READ | WRITE | BOTH, 0, 0x1a7ff, LVT_READ_ONLY | LVT_LINT_READ},
    [APIC_LVT + LVT_ERROR] = {READ | WRITE | BOTH, 0, 0x100ff, LVT_READ_ONLY},
    [APIC_INITIAL_COUNT] = {READ | WRITE | BOTH, 0, 0xffffffff, 0},
    [APIC_CURRENT_COUNT] = {READ | BOTH, 0, 0, 0},
    [APIC_DIVIDE] = {READ | WRITE | BOTH, 0, 0xb, 0},
    [APIC_SELF_IPI] = {WRITE | X2APIC, 0, 0xff, 0}, // local_apic_write_msr does it
};

// -- interrupts -----------------------------------------------------------------------------------

static inline bool software_enabled(const struct local_apic *apic)
{
    return (apic->spurious & SPURIOUS_ENABLE) != 0;
}

static inline uint32_t priority_above(const struct local_apic *apic, uint32_t served)
{
    return (apic->tpr & 0xf0) >= (served & 0xf0) ? apic->tpr : served & 0xf0;
}

uint32_t local_apic_priority(const struct local_apic *apic)
{
    return priority_above(apic, apic->is_virtual ? local_apic_page_served(apic)
                                                 : vector_set_highest(&apic->isr));
}

static void call_processor(struct local_apic *apic)
{
    apic->attention |= APIC_ATTENTION_VECTOR;
    apic->bus->wake |= 1u << apic->index;
}

void local_apic_update(struct local_apic *apic)
{
    uint32_t waiting = vector_set_highest(&apic->irr);
    uint32_t priority = apic->is_virtual ? 0 : local_apic_priority(apic) & 0xf0;
    if (waiting == 0 || (waiting & 0xf0) <= priority) {
        apic->attention &= ~APIC_ATTENTION_VECTOR;
    } else if (apic->is_virtual || !(apic->attention & APIC_ATTENTION_VECTOR)) {
        call_processor(apic);
    }
}

static void set_trigger_mode(struct local_apic *apic, uint32_t vector, bool level)
{
    if (level)
        vector_set_add(&apic->tmr, vector);
    else
        vector_set_remove(&apic->tmr, vector);
    apic->tmr_changed = true;
}

bool local_apic_accept(struct local_apic *apic, uint32_t vector, bool level)
{
    if (!local_apic_enabled(apic) || !software_enabled(apic))
        return false;
    if (vector < VECTOR_FIRST) {
        local_apic_error(apic, APIC_ERROR_RECEIVE_VECTOR);
        return false;
    }
    if (UNLIKELY(vector_set_has(&apic->tmr, vector) != level))
        set_trigger_mode(apic, vector, level);
    bool anew = !vector_set_has(&apic->irr, vector);
    vector_set_add(&apic->irr, vector);
    if (apic->is_virtual)
        call_processor(apic);
    else
        local_apic_update(apic);
    return anew;
}

uint32_t local_apic_next(const struct local_apic *apic)
{
    if (!(apic->attention & APIC_ATTENTION_VECTOR))
        return 0;
    uint32_t vector = vector_set_highest(&apic->irr);
    if (!apic->is_virtual)
        return vector;
    uint32_t priority = priority_above(apic, local_apic_page_served(apic));
    return (vector & 0xf0) > (priority & 0xf0) ? vector : 0;
}

void local_apic_take(struct local_apic *apic, uint32_t vector)
{
    vector_set_remove(&apic->irr, vector);
    if (apic->is_virtual) {
        local_apic_page_serve(apic, vector);
        if (apic->irr.summary == 0)
            apic->attention &= ~APIC_ATTENTION_VECTOR;
    } else {
        vector_set_add(&apic->isr, vector);
        local_apic_update(apic);
    }
}

uint8_t local_apic_acknowledge(struct local_apic *apic)
{
    uint32_t vector = local_apic_next(apic);
    if (vector == 0)
        return (uint8_t)apic->spurious;
    local_apic_take(apic, vector);
    return (uint8_t)vector;
}

void local_apic_ended(struct local_apic *apic, uint32_t vector)
{
    if (vector_set_has(&apic->tmr, vector))
        apic_bus_end_of_interrupt(apic->bus, vector);
}

void local_apic_end_of_interrupt(struct local_apic *apic)
{
    uint32_t vector = vector_set_highest(&apic->isr);
    if (vector == 0)
        return;
    vector_set_remove(&apic->isr, vector);
    local_apic_ended(apic, vector);
    local_apic_update(apic);
}

void local_apic_error(struct local_apic *apic, uint32_t bit)
{
    uint32_t entry = apic->lvt[LVT_ERROR];
    bool news = !(apic->errors & bit);
    apic->errors |= bit;
    if (news && !(entry & APIC_MASKED) && (entry & 0xff) >= VECTOR_FIRST)
        local_apic_accept(apic, entry & 0xff, false);
}

void local_apic_set_task_priority(struct local_apic *apic, uint32_t cr8)
{
    apic->tpr = cr8 << 4 & 0xf0;
    local_apic_update(apic);
    if (apic->is_virtual)
        local_apic_mirror(apic, APIC_TPR);
}

// -- registers ------------------------------------------------------------------------------------

static uint32_t shown_id(const struct local_apic *apic)
{
    return local_apic_is_x2apic(apic) ? apic->index : apic->id;
}

// In x2APIC mode the logical destination follows from the ID: cluster in the upper half.
static uint32_t shown_logical(const struct local_apic *apic)
{
    return local_apic_is_x2apic(apic) ? (apic->index >> 4) << 16 | 1u << (apic->index & 15)
                                      : apic->logical;
}

uint32_t local_apic_register(struct local_apic *apic, uint32_t reg)
{
    switch (reg) {
    case APIC_ID:
        return shown_id(apic);
    case APIC_VERSION:
        return VERSION;
    case APIC_TPR:
        return apic->tpr;
    case APIC_PPR:
        return local_apic_priority(apic);
    case APIC_LDR:
        return shown_logical(apic);
    case APIC_DFR:
        return apic->format;
    case APIC_SPURIOUS:
        return apic->spurious;
    case APIC_ESR:
        return apic->esr;
    case APIC_ICR:
        return apic->icr_low;
    case APIC_ICR_HIGH:
        return apic->icr_high;
    case APIC_INITIAL_COUNT:
        return apic->initial_count;
    case APIC_CURRENT_COUNT:
        return local_apic_current_count(apic);
    case APIC_DIVIDE:
        return apic->divide;
    default:
        break;
    }
    if (reg >= APIC_LVT && reg <= APIC_LVT_LAST)
        return apic->lvt[reg - APIC_LVT];
    if (reg >= APIC_ISR && reg < APIC_IRR + 8) {
        const struct vector_set *sets[] = {&apic->isr, &apic->tmr, &apic->irr};
        return sets[(reg - APIC_ISR) / 8]->word[reg & 7];
    }
    return 0;
}

// Software disabling masks every LVT entry and keeps them masked.
static void set_spurious(struct local_apic *apic, uint32_t value)
{
    apic->spurious = value;
    if (software_enabled(apic))
        return;
    for (unsigned i = 0; i < LVT_COUNT; i++)
        apic->lvt[i] |= APIC_MASKED;
}

static void set_lvt(struct local_apic *apic, unsigned entry, uint32_t value)
{
    if (!software_enabled(apic))
        value |= APIC_MASKED;
    if (entry == LVT_TIMER)
        local_apic_set_timer_entry(apic, value);
    else
        apic->lvt[entry] = value;
}

static void write_error_status(struct local_apic *apic)
{
    apic->esr = apic->errors;
    apic->errors = 0;
}

// `value` holds only bits that the register has.
static void write_register(struct local_apic *apic, uint32_t reg, uint32_t value)
{
    switch (reg) {
    case APIC_ID:
        apic->id = value;
        break;
    case APIC_TPR:
        apic->tpr = value;
        local_apic_update(apic);
        break;
    case APIC_EOI:
        local_apic_end_of_interrupt(apic);
        break;
    case APIC_LDR:
        apic->logical = value;
        break;
    case APIC_DFR:
        apic->format = value | 0x0fffffff;
        break;
    case APIC_SPURIOUS:
        set_spurious(apic, value);
        break;
    case APIC_ESR:
        write_error_status(apic);
        break;
    case APIC_ICR:
        apic->icr_low = value;
        apic_bus_send_ipi(apic->bus, apic, value, apic->icr_high);
        break;
    case APIC_ICR_HIGH:
        apic->icr_high = value;
        break;
    case APIC_INITIAL_COUNT:
        local_apic_set_initial_count(apic, value);
        break;
    case APIC_DIVIDE:
        local_apic_set_divide(apic, value);
        break;
    default:
        set_lvt(apic, reg - APIC_LVT, value);
        break;
    }
}

// -- the face in memory ---------------------------------------------------------------------------

static bool in_memory(struct local_apic *apic, uint32_t reg, uint32_t access)
{
    const struct register_row *row = &rows[reg >> 4 & (LOCAL_APIC_REGISTERS - 1)];
    if (!(reg & 15) && reg < 16 * LOCAL_APIC_REGISTERS && row->access & XAPIC)
        return (row->access & access) != 0;
    if (!(reg & 15))
        local_apic_error(apic, APIC_ERROR_REGISTER);
    return false;
}

static uint64_t apic_read(struct device *device, uint32_t reg, unsigned size)
{
    struct local_apic *apic = CONTAINER_OF(device, struct local_apic, device);
    (void)size;
    return in_memory(apic, reg, READ) ? local_apic_register(apic, reg >> 4) : 0;
}

static void apic_write(struct device *device, uint32_t reg, unsigned size, uint64_t value)
{
    struct local_apic *apic = CONTAINER_OF(device, struct local_apic, device);
    (void)size;
    if (in_memory(apic, reg, WRITE))
        write_register(apic, reg >> 4, (uint32_t)value & rows[reg >> 4].writable);
}

// -- the face of MSRs -----------------------------------------------------------------------------

static inline bool as_msr(const struct local_apic *apic, uint32_t reg, uint32_t access)
{
    const struct register_row *row = &rows[reg];
    uint32_t allowed = row->x2access != 0 ? row->x2access | X2APIC : row->access;
    return local_apic_is_x2apic(apic) && (~allowed & (access | X2APIC)) == 0;
}

bool local_apic_read_msr(struct local_apic *apic, uint32_t reg, uint64_t *value)
{
    if (!as_msr(apic, reg, READ))
        return false;
    *value = local_apic_register(apic, reg);
    if (reg == APIC_ICR)
        *value |= (uint64_t)apic->icr_high << 32;
    return true;
}

static bool write_command(struct local_apic *apic, uint64_t value)
{
    if ((uint32_t)value & ~ICR_DEFINED)
        return false;
    apic->icr_low = (uint32_t)value & ~ICR_PENDING;
    apic->icr_high = (uint32_t)(value >> 32);
    if (apic->is_virtual)
        local_apic_mirror(apic, APIC_ICR);
    apic_bus_send_ipi(apic->bus, apic, apic->icr_low, apic->icr_high);
    return true;
}

static NOINLINE bool write_as_msr(struct local_apic *apic, uint32_t reg, uint64_t value)
{
    const struct register_row *row = &rows[reg];
    if (UNLIKELY(!as_msr(apic, reg, WRITE)))
        return false;
    if (reg == APIC_ICR)
        return write_command(apic, value);
    if (value & ~(uint64_t)(row->writable | row->ignored))
        return false;
    write_register(apic, reg, (uint32_t)value & row->writable);
    if (apic->is_virtual && row->access & READ)
        local_apic_mirror(apic, reg);
    return true;
}

bool local_apic_write_msr(struct local_apic *apic, uint32_t reg, uint64_t value)
{
    if (reg != APIC_SELF_IPI)
        return write_as_msr(apic, reg, value);
    if (!local_apic_is_x2apic(apic) || value > 0xff)
        return false;
    local_apic_accept(apic, (uint32_t)value, false);
    return true;
}

// -- modes and resets -----------------------------------------------------------------------------

static bool base_is_allowed(const struct local_apic *apic, uint64_t value)
{
    bool x2apic = (value & APIC_BASE_X2APIC) != 0;
    if (value & 0xfff & ~BASE_FLAGS || value >= apic->maximum_address)
        return false;
    if (!(value & APIC_BASE_ENABLE))
        return !x2apic;
    // x2APIC mode is entered from xAPIC mode only, and left by disabling only.
    return x2apic ? local_apic_enabled(apic) : !local_apic_is_x2apic(apic);
}

bool local_apic_set_base(struct local_apic *apic, uint64_t value)
{
    if (!base_is_allowed(apic, value))
        return false;
    bool was_enabled = local_apic_enabled(apic);
    apic->base = value;
    if (was_enabled && !local_apic_enabled(apic)) {
        local_apic_init_signal(apic);
        apic->id = apic->index << 24;
    }
    return true;
}

void local_apic_init_signal(struct local_apic *apic)
{
    apic->timer_due = CLOCK_NEVER;
    apic->tsc_deadline = 0;
    apic->attention = 0;
    apic->tpr = apic->logical = apic->errors = apic->esr = 0;
    apic->icr_low = apic->icr_high = 0;
    apic->format = FORMAT_FLAT;
    apic->spurious = SPURIOUS_RESET;
    apic->initial_count = apic->divide = 0;
    for (unsigned i = 0; i < LVT_COUNT; i++)
        apic->lvt[i] = APIC_MASKED;
    memset(&apic->irr, 0, sizeof(apic->irr));
    memset(&apic->isr, 0, sizeof(apic->isr));
    memset(&apic->tmr, 0, sizeof(apic->tmr));
    apic->is_virtual = false;
}

void local_apic_power_on(struct local_apic *apic)
{
    local_apic_init_signal(apic);
    apic->id = apic->index << 24;
    apic->base = LOCAL_APIC_ADDRESS | APIC_BASE_ENABLE | (apic->index == 0 ? APIC_BASE_BSP : 0);
    if (apic->index == 0) {
        apic->spurious |= SPURIOUS_ENABLE;
        apic->lvt[LVT_LINT0] = APIC_MODE_EXTINT;
        apic->lvt[LVT_LINT1] = APIC_MODE_NMI;
    }
}

static void apic_reset(struct device *device)
{
    local_apic_power_on(CONTAINER_OF(device, struct local_apic, device));
}

static const struct device_ops apic_ops = {"local apic", apic_read, apic_write, apic_reset};

void local_apic_init(struct local_apic *apic, const struct local_apic_wiring *wiring)
{
    memset(apic, 0, sizeof(*apic));
    apic->device.ops = &apic_ops;
    apic->bus = wiring->bus;
    apic->clock = wiring->clock;
    apic->index = wiring->index;
    apic->ticks_per_count = wiring->ticks_per_count;
    apic->maximum_address = 1ull << wiring->physical_bits;
    wiring->bus->apic[wiring->index] = apic;
    if (wiring->bus->count <= wiring->index)
        wiring->bus->count = wiring->index + 1;
    local_apic_power_on(apic);
}
