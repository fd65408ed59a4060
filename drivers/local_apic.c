// SPDX-License-Identifier: MIT
// The local APIC; see local_apic.h. One set of registers, reached by MMIO (xAPIC) or MSR (x2APIC).
#include "drivers/local_apic.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/paging/kernel_space.h"

// "Local APIC Register Address Map": offsets; the MSR is MSR_X2APIC_FIRST + offset / 16.
enum apic_register {
    APIC_ID = 0x20,
    APIC_TASK_PRIORITY = 0x80,
    APIC_END_OF_INTERRUPT = 0xb0,
    APIC_SPURIOUS = 0xf0,
    APIC_COMMAND = 0x300,
    APIC_COMMAND_HIGH = 0x310,
    APIC_TIMER = 0x320,
    APIC_LINT0 = 0x350,
    APIC_LINT1 = 0x360,
    APIC_ERROR = 0x370,
    APIC_TIMER_INITIAL = 0x380,
    APIC_TIMER_CURRENT = 0x390,
    APIC_TIMER_DIVIDE = 0x3e0,
};

#define SPURIOUS_ENABLE (1u << 8)
#define LVT_MASKED      (1u << 16)
#define LVT_NMI         (4u << 8)
#define TIMER_DEADLINE  (2u << 17)
#define DIVIDE_BY_1     0xbu

// "Interrupt Command Register (ICR)"
#define XAPIC_BROADCAST 0xffu
#define COMMAND_PENDING (1u << 12) // xAPIC only
#define COMMAND_ASSERT  (1u << 14)

static struct {
    uint8_t *registers; // xAPIC only
    bool x2apic;
    bool deadline_mode;
    uint8_t spurious_vector;
    uint8_t timer_vector;
    uint64_t ticks_per_tsc; // one-shot: APIC timer ticks per TSC tick, 32.32 fixed point
} apic;

static uint32_t apic_read(enum apic_register index)
{
    if (apic.x2apic) {
        return (uint32_t)msr_read(MSR_X2APIC_FIRST + ((uint32_t)index >> 4));
    }
    // Device memory: each access must happen, once, as written.
    return *(volatile uint32_t *)(void *)(apic.registers + index);
}

static void apic_write(enum apic_register index, uint32_t value)
{
    if (apic.x2apic) {
        msr_write(MSR_X2APIC_FIRST + ((uint32_t)index >> 4), value);
    } else {
        *(volatile uint32_t *)(void *)(apic.registers + index) = value;
    }
}

static void enable(void)
{
    uint64_t base = msr_read(MSR_APIC_BASE) | APIC_BASE_ENABLE;
    msr_write(MSR_APIC_BASE, base); // EN first: EN and EXTD must not be set in one step from off
    if (apic.x2apic) {
        msr_write(MSR_APIC_BASE, base | APIC_BASE_X2APIC);
    }
    apic_write(APIC_TASK_PRIORITY, 0);
    apic_write(APIC_TIMER, LVT_MASKED | apic.timer_vector);
    apic_write(APIC_LINT0, LVT_MASKED);
    apic_write(APIC_LINT1, LVT_NMI);
    apic_write(APIC_ERROR, LVT_MASKED);
    apic_write(APIC_SPURIOUS, SPURIOUS_ENABLE | apic.spurious_vector);
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_1);
    apic_write(APIC_END_OF_INTERRUPT, 0);
}

enum status local_apic_initialize(uint64_t address, uint8_t spurious, uint8_t timer,
                                  const struct page_source *source)
{
    void *registers = NULL;
    enum status status = STATUS_OK;
    // Firmware may have switched to x2APIC mode; there is no way back that keeps EN set.
    apic.x2apic = cpu_features()->x2apic || (msr_read(MSR_APIC_BASE) & APIC_BASE_X2APIC) != 0;
    apic.spurious_vector = spurious;
    apic.timer_vector = timer;
    if (!apic.x2apic) {
        status = kernel_space_map_device(hpa(address), PAGE_SIZE, PAGE_READ | PAGE_WRITE,
                                         MEMORY_UNCACHEABLE, source, &registers);
        apic.registers = registers;
    }
    if (status == STATUS_OK) {
        enable();
    }
    return status;
}

uint32_t local_apic_id(void)
{
    return apic.x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void local_apic_end_of_interrupt(void)
{
    apic_write(APIC_END_OF_INTERRUPT, 0);
}

// An interrupt must not overtake what was written for its handler: WRMSR to an x2APIC register
// orders nothing by itself, a write to device memory follows all before it.
void local_apic_send(uint32_t apic_id, uint32_t command)
{
    command |= COMMAND_ASSERT;
    if (apic.x2apic) {
        __asm__ volatile("mfence; lfence" ::: "memory");
        msr_write(MSR_X2APIC_FIRST + (APIC_COMMAND >> 4), (uint64_t)apic_id << 32 | command);
        return;
    }
    apic_write(APIC_COMMAND_HIGH, apic_id << 24);
    apic_write(APIC_COMMAND, command);
    while (apic_read(APIC_COMMAND) & COMMAND_PENDING) {
        cpu_relax();
    }
}

bool local_apic_reaches(uint32_t apic_id)
{
    return apic.x2apic || apic_id < XAPIC_BROADCAST;
}

static void start_timer(void)
{
    if (apic.deadline_mode) {
        apic_write(APIC_TIMER, TIMER_DEADLINE | apic.timer_vector);
        // The write must arrive before the first write of the MSR ("TSC-Deadline Mode").
        __asm__ volatile("mfence" ::: "memory");
    } else {
        apic_write(APIC_TIMER_INITIAL, 0);
        apic_write(APIC_TIMER, apic.timer_vector);
    }
}

void local_apic_timer_calibrated(uint64_t tsc_hz, uint64_t apic_timer_hz)
{
    apic.deadline_mode = cpu_features()->tsc_deadline;
    apic.ticks_per_tsc = (apic_timer_hz << 32) / tsc_hz;
    start_timer();
}

void local_apic_start(void)
{
    enable();
    start_timer();
}

// One-shot ticks until the TSC reaches `tsc`: at least 1, at most what the counter holds.
static uint32_t one_shot_ticks(uint64_t tsc)
{
    uint64_t now = tsc_read();
    uint64_t left = tsc > now ? tsc - now : 0;
    unsigned __int128 ticks = ((unsigned __int128)left * apic.ticks_per_tsc >> 32) + 1;
    return ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
}

void local_apic_timer_set(uint64_t tsc)
{
    bool stop = tsc == UINT64_MAX;
    if (apic.deadline_mode) {
        msr_write(MSR_TSC_DEADLINE, stop ? 0 : tsc | 1); // 0 disarms
    } else {
        apic_write(APIC_TIMER_INITIAL, stop ? 0 : one_shot_ticks(tsc));
    }
}

void local_apic_timer_start_count(void)
{
    apic_write(APIC_TIMER, LVT_MASKED | apic.timer_vector);
    apic_write(APIC_TIMER_INITIAL, UINT32_MAX);
}

uint32_t local_apic_timer_elapsed(void)
{
    return UINT32_MAX - apic_read(APIC_TIMER_CURRENT);
}
