// SPDX-License-Identifier: MIT
// Lock-step: the local APIC's driver (drivers/local_apic.c), in xAPIC and in x2APIC mode, with a
// timer that goes by the TSC or counts, and its specification. The APIC is memory or a set of MSRs;
// what a processor would refuse with a fault fails the test.
#include <string.h>
#include "arch/x86/cpu/features.h"
#include "arch/x86/paging/kernel_space.h"
#include "drivers/local_apic.h"
#include "test/host/lockstep/host_processor.h"
#include "test/host/lockstep/lockstep.h"
#include "test/spec/local_apic.h"

#define MSR_BASE     0x1bu
#define MSR_DEADLINE 0x6e0u
#define MSR_FIRST    0x800u
#define BASE_ENABLE  (1ull << 11)
#define BASE_X2APIC  (1ull << 10)
#define UNTOUCHED    0xa5a5a5a5u

// Registers, by their offset in memory.
enum {
    ID = 0x20,
    PRIORITY = 0x80,
    END = 0xb0,
    SPURIOUS = 0xf0,
    COMMAND = 0x300,
    COMMAND_HIGH = 0x310,
    TIMER = 0x320,
    LINT0 = 0x350,
    LINT1 = 0x360,
    ERROR = 0x370,
    INITIAL = 0x380,
    CURRENT = 0x390,
    DIVIDE = 0x3e0
};

static struct spec_apic spec;
static struct cpu_features features;
static _Alignas(4096) volatile uint32_t memory[1024];
static uint64_t msrs[0x40]; // x2APIC's
static uint64_t base, deadline;
static uint64_t ends, commands; // written to x2APIC's
static bool mappable;

// -- the processor --------------------------------------------------------------------------------

const struct cpu_features *cpu_features(void)
{
    return &features;
}

enum status kernel_space_map_device(hpa_t physical, uint64_t size, uint32_t permissions,
                                    enum memory_type type, const struct page_source *source,
                                    void **address)
{
    (void)permissions, (void)source;
    lockstep_equal("where", physical.value, 0xfee00000);
    lockstep_equal("bytes", size, 4096);
    lockstep_equal("type", type, MEMORY_UNCACHEABLE);
    if (mappable) {
        *address = (void *)(uintptr_t)memory;
    }
    return mappable ? STATUS_OK : STATUS_NO_MEMORY;
}

static bool is_x2apic(uint32_t index)
{
    if (index < MSR_FIRST || index >= MSR_FIRST + 0x40) {
        return false;
    }
    lockstep_equal("x2APIC is on", (base & BASE_X2APIC) != 0, true);
    return true;
}

static uint64_t read_msr(uint32_t index)
{
    if (index == MSR_BASE) {
        return base;
    }
    lockstep_equal("an MSR that there is", is_x2apic(index), true);
    return msrs[index - MSR_FIRST];
}

// "x2APIC State Transitions": each step by itself, and never off.
static void write_base(uint64_t value)
{
    bool at_once = (value & BASE_X2APIC) != 0 && (base & BASE_ENABLE) == 0;
    bool back = (base & BASE_X2APIC) != 0 && (value & BASE_X2APIC) == 0;

    lockstep_equal("stays enabled", (value & BASE_ENABLE) != 0 && !at_once && !back, true);
    base = value;
}

static void write_msr(uint32_t index, uint64_t value)
{
    if (index == MSR_BASE) {
        write_base(value);
    } else if (index == MSR_DEADLINE) {
        lockstep_equal("the timer goes by it", features.tsc_deadline, true);
        deadline = value;
    } else {
        lockstep_equal("an MSR that there is", is_x2apic(index), true);
        msrs[index - MSR_FIRST] = value;
        ends += index == MSR_FIRST + END / 16;
        commands += index == MSR_FIRST + COMMAND / 16;
        lockstep_equal("reserved bits", value >> 32 != 0 && index != MSR_FIRST + COMMAND / 16, 0);
    }
}

static uint32_t read_register(uint32_t offset)
{
    return spec.x2apic ? (uint32_t)msrs[offset / 16] : memory[offset / 4];
}

static void set_register(uint32_t offset, uint32_t value)
{
    memory[offset / 4] = value;
    msrs[offset / 16] = value;
}

// -- comparing ------------------------------------------------------------------------------------

static struct spec_apic before;
static uint64_t ends_before, commands_before;

static void begin(void)
{
    before = spec;
    ends_before = ends;
    commands_before = commands;
    if (!spec.x2apic) { // in memory it is seen only that something was written
        memory[END / 4] = UNTOUCHED;
        memory[COMMAND_HIGH / 4] = UNTOUCHED;
    }
}

static void compare_command(void)
{
    uint64_t sent = spec.commands - before.commands;

    if (spec.x2apic) {
        lockstep_equal("commands", commands - commands_before, sent);
        lockstep_equal("command", sent != 0 ? msrs[COMMAND / 16] : 0, sent != 0 ? spec.command : 0);
        lockstep_equal("ends", ends - ends_before, spec.ends - before.ends);
        lockstep_equal("end", msrs[END / 16], 0);
    } else {
        lockstep_equal("receiver", memory[COMMAND_HIGH / 4],
                       sent != 0 ? (uint32_t)(spec.command >> 32) << 24 : UNTOUCHED);
        lockstep_equal("command", sent != 0 ? memory[COMMAND / 4] : 0,
                       sent != 0 ? (uint32_t)spec.command : 0);
        lockstep_equal("end", memory[END / 4], spec.ends != before.ends ? 0 : UNTOUCHED);
    }
}

static void compare(void)
{
    lockstep_equal("base", base, spec.base);
    lockstep_equal("task priority", read_register(PRIORITY), spec.task_priority);
    lockstep_equal("spurious", read_register(SPURIOUS), spec.spurious);
    lockstep_equal("timer", read_register(TIMER), spec.timer);
    lockstep_equal("LINT0", read_register(LINT0), spec.lint0);
    lockstep_equal("LINT1", read_register(LINT1), spec.lint1);
    lockstep_equal("error", read_register(ERROR), spec.error);
    lockstep_equal("divide", read_register(DIVIDE), spec.divide);
    lockstep_equal("initial count", read_register(INITIAL), spec.initial);
    lockstep_equal("deadline", deadline, spec.tsc_deadline);
    compare_command();
}

// -- steps ----------------------------------------------------------------------------------------

// Another machine, whose firmware left its APIC as it likes.
static void initialize(void)
{
    uint8_t spurious = (uint8_t)(lockstep_below(14) * 16 + 0x2f);
    uint8_t timer = (uint8_t)(32 + lockstep_below(224));
    enum status status;

    do {
        memset((void *)(uintptr_t)memory, 0, sizeof(memory));
        memset(msrs, 0, sizeof(msrs));
        features.x2apic = lockstep_chance(40);
        base = 0xfee00000 | (lockstep_chance(60) ? BASE_ENABLE : 0);
        base |= base & BASE_ENABLE && lockstep_chance(20) ? BASE_X2APIC : 0;
        deadline = 0;
        mappable = lockstep_chance(80);
        spec = (struct spec_apic){.base = base};
        begin();
        status = local_apic_initialize(0xfee00000, spurious, timer, NULL);
        lockstep_same(
            "initialize",
            apic_initialize_spec(&spec, features.x2apic, spurious, timer, mappable, &spec), status);
        if (status == STATUS_OK) {
            compare();
        } else {
            lockstep_equal("untouched", base, before.base);
            for (uint32_t i = 0; i < ARRAY_COUNT(memory); i++) {
                lockstep_equal("untouched", memory[i],
                               i == END / 4 || i == COMMAND_HIGH / 4 ? UNTOUCHED : 0);
            }
        }
    } while (status != STATUS_OK);
}

static void calibrate(void)
{
    uint64_t tsc_hz = 1 + lockstep_boundary(5000000000);
    uint64_t timer_hz = 1 + lockstep_boundary(UINT32_MAX);

    tsc_hz = tsc_hz > 1000000 && tsc_hz < 1ull << 40 ? tsc_hz : 1000000;
    timer_hz = timer_hz < UINT32_MAX && timer_hz > 0 ? timer_hz : UINT32_MAX;
    features.tsc_deadline = lockstep_chance(50);
    local_apic_timer_calibrated(tsc_hz, timer_hz);
    apic_calibrated_spec(&spec, features.tsc_deadline, tsc_hz, timer_hz, &spec);
}

static void send(void)
{
    uint32_t receiver = spec.x2apic ? (uint32_t)lockstep_boundary(UINT32_MAX) : lockstep_below(255);
    uint32_t vector = 32 + lockstep_below(224);

    switch (lockstep_below(4)) {
    case 0:
        local_apic_send(receiver, vector);
        apic_send_spec(&spec, receiver, 0, vector, &spec);
        break;
    case 1:
        local_apic_send(receiver, LOCAL_APIC_NMI);
        apic_send_spec(&spec, receiver, SPEC_APIC_NMI, 0, &spec);
        break;
    case 2:
        local_apic_send(receiver, LOCAL_APIC_INIT);
        apic_send_spec(&spec, receiver, SPEC_APIC_INIT, 0, &spec);
        break;
    default:
        local_apic_send(receiver, LOCAL_APIC_START | vector);
        apic_send_spec(&spec, receiver, SPEC_APIC_START, vector, &spec);
        break;
    }
}

static void set_timer(void)
{
    uint64_t when = lockstep_chance(60)   ? host_tsc + lockstep_below(1u << 31)
                    : lockstep_chance(30) ? host_tsc - lockstep_below(2)
                    : lockstep_chance(30)
                        ? host_tsc + (1ull << 33) + lockstep_random() % (1ull << 36)
                        : lockstep_boundary(UINT64_MAX);

    host_tsc += lockstep_below(1u << 20);
    apic_timer_spec(&spec, when, host_tsc, &spec);
    local_apic_timer_set(when);
}

static void ask(void)
{
    uint32_t id =
        lockstep_chance(50) ? (uint32_t)lockstep_boundary(255) : (uint32_t)lockstep_random();
    uint32_t count = (uint32_t)lockstep_random();

    set_register(ID, id);
    set_register(CURRENT, count);
    lockstep_equal("id", local_apic_id(), spec.x2apic ? id : id >> 24);
    lockstep_equal("reaches", local_apic_reaches(id), spec.x2apic || id < 255);
    lockstep_equal("elapsed", local_apic_timer_elapsed(), UINT32_MAX - count);
}

static void step(void)
{
    begin();
    switch (lockstep_below(8)) {
    case 0:
        local_apic_start();
        apic_start_spec(&spec, &spec);
        break;
    case 1:
        local_apic_end_of_interrupt();
        apic_end_of_interrupt_spec(&spec, &spec);
        break;
    case 2:
        calibrate();
        break;
    case 3:
        local_apic_timer_start_count();
        apic_count_spec(&spec, &spec);
        break;
    case 4:
        ask();
        break;
    case 5:
        set_timer();
        break;
    default:
        send();
        break;
    }
    lockstep_counted(SPEC_ALLOWED);
    compare();
}

int main(int argc, char **argv)
{
    static const enum spec_module modules[] = {SPEC_APIC};

    lockstep_begin(argc, argv, "local APIC", 100000);
    host_hooks.msr_read = read_msr;
    host_hooks.msr_write = write_msr;
    while (lockstep_more()) {
        initialize();
        begin();
        calibrate();
        lockstep_counted(SPEC_ALLOWED);
        compare();
        for (uint32_t i = 0; i < 200; i++) {
            step();
        }
    }
    return lockstep_end(modules, ARRAY_COUNT(modules));
}
