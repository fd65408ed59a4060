// SPDX-License-Identifier: MIT
// The hostile guest: `events=N` random events from `seed=N` (else from the time-stamp counter),
// which is printed first. With `deadly=1` also such as end the machine; whoever started it then
// sees how. With `end=N` nothing but one way to end it (event_end_by). Ends through 0xf4 with 0
// when all events are over.
#include "guests/hostile/hostile.h"
#include "guests/library/guest.h"

#define EVENTS_DEFAULT 10000u
#define DEADLY_RARITY  512u

struct kind {
    const char *name;
    void (*event)(void);
    uint32_t count;
    uint32_t caught;
};

static struct kind kinds[] = {
    {"port", event_port, 0, 0},
    {"port string", event_port_string, 0, 0},
    {"msr", event_msr, 0, 0},
    {"cpuid", event_cpuid, 0, 0},
    {"device memory", event_device_memory, 0, 0},
    {"ipi flood", event_ipi_flood, 0, 0},
    {"timer", event_timer, 0, 0},
    {"vmcall", event_vmcall, 0, 0},
    {"vmx", event_vmx, 0, 0},
    {"control register", event_control_register, 0, 0},
    {"debug register", event_debug_register, 0, 0},
    {"segment", event_segment, 0, 0},
    {"descriptor table", event_descriptor_table, 0, 0},
    {"page table", event_page_table, 0, 0},
    {"code", event_code, 0, 0},
    {"self-modifying", event_self_modifying, 0, 0},
    {"user bytes", event_user_bytes, 0, 0},
};

bool deadly;

static uint32_t time_seed(void)
{
    return (uint32_t)__builtin_ia32_rdtsc();
}

static void deadly_event(void)
{
    if (random_below(4)) {
        event_kernel_bytes();
    } else {
        event_end();
    }
}

static void report(void)
{
    for (unsigned i = 0; i < ARRAY_COUNT(kinds); i++) {
        print_text("  ");
        print_text(kinds[i].name);
        print_text(": ");
        print_decimal(kinds[i].count);
        print_text(", exceptions ");
        print_decimal(kinds[i].caught);
        print_text("\n");
    }
}

static void run(uint32_t events)
{
    for (uint32_t i = 0; i < events; i++) {
        struct kind *kind = &kinds[random_below(ARRAY_COUNT(kinds))];

        if (deadly && random_below(DEADLY_RARITY) == 0) {
            (void)machine_try(deadly_event);
            continue;
        }
        kind->count++;
        kind->caught += machine_try(kind->event) != 0;
    }
}

void guest_main(uint32_t magic, uintptr_t information)
{
    const struct multiboot_info *info = (const struct multiboot_info *)information;
    const char *line = (const char *)(uintptr_t)info->command_line;
    uint32_t seed = time_seed();
    uint32_t events = EVENTS_DEFAULT;
    uint32_t wants_deadly = 0;
    uint32_t end;

    if (magic != MULTIBOOT_BOOTLOADER_MAGIC) {
        test_exit(2);
    }
    (void)find_option(line, "seed", &seed);
    (void)find_option(line, "events", &events);
    (void)find_option(line, "deadly", &wants_deadly);
    if (find_option(line, "end", &end)) {
        event_end_by(end);
    }
    deadly = wants_deadly != 0;
    print_text("hostile: seed=");
    print_decimal(seed);
    print_text(" events=");
    print_decimal(events);
    print_text("\n");
    random_seed(seed);
    machine_init((uint64_t)(info->memory_upper + 1024) << 10);
    run(events);
    print_text("hostile: survived ");
    print_decimal(events);
    print_text(" events\n");
    report();
    test_exit(0);
}
