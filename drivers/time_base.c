// SPDX-License-Identifier: MIT
// Measures the clocks; see time_base.h. Boot only, then constant.
#include "drivers/time_base.h"
#include "arch/x86/cpu/features.h"
#include "arch/x86/cpu/registers.h"
#include "drivers/local_apic.h"

#define PIT_HZ          1193182u
#define PIT_COUNT       11932u // 10 ms
#define PIT_CHANNEL2    0x42
#define PIT_COMMAND     0x43
#define PIT_MODE0       0xb0 // channel 2, both bytes, mode 0: output rises at the end
#define GATE_PORT       0x61
#define GATE_ENABLE     0x01
#define GATE_SPEAKER    0x02
#define GATE_OUTPUT     0x20
#define POLL_MAXIMUM    5000000u
#define ROUND_MAXIMUM   8u
#define FALLBACK_WINDOW 100u // 1 / seconds

struct sample {
    uint64_t tsc;
    uint64_t apic;
};

static uint64_t tsc_hz;

uint64_t time_base_tsc_hz(void)
{
    return tsc_hz;
}

uint64_t time_base_microseconds(uint64_t microseconds)
{
    return microseconds * tsc_hz / 1000000u;
}

// Counts both clocks over PIT_COUNT periods of the PIT; false when it does not finish.
static bool measure(struct sample *sample)
{
    uint8_t gate = port_read8(GATE_PORT) & (uint8_t)~GATE_SPEAKER;
    port_write8(GATE_PORT, gate & (uint8_t)~GATE_ENABLE);
    port_write8(PIT_COMMAND, PIT_MODE0);
    port_write8(PIT_CHANNEL2, PIT_COUNT & 0xff);
    port_write8(PIT_CHANNEL2, PIT_COUNT >> 8);
    local_apic_timer_start_count();
    port_write8(GATE_PORT, gate | GATE_ENABLE);
    uint64_t start = tsc_read();
    uint32_t apic_start = local_apic_timer_elapsed();
    bool done = false;
    for (unsigned i = 0; i < POLL_MAXIMUM && !done; i++) {
        done = (port_read8(GATE_PORT) & GATE_OUTPUT) != 0;
    }
    sample->tsc = tsc_read() - start;
    sample->apic = local_apic_timer_elapsed() - apic_start;
    port_write8(GATE_PORT, gate & (uint8_t)~GATE_ENABLE);
    return done && sample->tsc > PIT_COUNT; // a stuck output ends at once
}

static bool differ_by_at_most(uint64_t a, uint64_t b, uint64_t one_in)
{
    uint64_t difference = a > b ? a - b : b - a;
    return difference <= a / one_in;
}

// The shortest of a few rounds, since whatever disturbs a round makes it longer; done as soon as
// two rounds agree to 0.1 %.
static bool measure_best(struct sample *best)
{
    struct sample sample;
    best->tsc = UINT64_MAX;
    for (unsigned round = 0; round < ROUND_MAXIMUM; round++) {
        if (!measure(&sample)) {
            break;
        }
        bool agree = differ_by_at_most(sample.tsc, best->tsc, 1000);
        if (sample.tsc < best->tsc) {
            *best = sample;
        }
        if (agree) {
            break;
        }
    }
    return best->tsc != UINT64_MAX;
}

// "Time Stamp Counter and Nominal Core Crystal Clock Information", then "Processor Frequency
// Information"; 0 when neither says.
static uint64_t stated_hz(void)
{
    uint32_t maximum = cpu_features()->maximum_leaf;
    if (maximum >= 0x15) {
        struct cpuid_result r = cpuid(0x15, 0);
        if (r.eax != 0 && r.ebx != 0 && r.ecx != 0) {
            return (uint64_t)r.ecx * r.ebx / r.eax;
        }
    }
    return maximum >= 0x16 ? (uint64_t)(cpuid(0x16, 0).eax & 0xffff) * 1000000u : 0;
}

enum status time_base_calibrate(void)
{
    struct sample sample = {0};
    uint64_t stated = stated_hz();
    uint64_t apic_hz;
    if (measure_best(&sample)) {
        tsc_hz = sample.tsc * PIT_HZ / PIT_COUNT;
        apic_hz = sample.apic * PIT_HZ / PIT_COUNT;
        if (stated != 0 && differ_by_at_most(tsc_hz, stated, 100)) {
            tsc_hz = stated;
        }
    } else if (stated != 0) {
        tsc_hz = stated;
        local_apic_timer_start_count();
        uint64_t start = tsc_read();
        while (tsc_read() - start < tsc_hz / FALLBACK_WINDOW) {
            cpu_relax();
        }
        apic_hz = (uint64_t)local_apic_timer_elapsed() * FALLBACK_WINDOW;
    } else {
        return STATUS_TIMEOUT;
    }
    local_apic_timer_calibrated(tsc_hz, apic_hz);
    return STATUS_OK;
}
