// SPDX-License-Identifier: MIT
// What processes call outside of the world of process_world.h: there is no log, and
// one serial port whose transmitter is always free.
#include "arch/x86/cpu/trap.h"
#include "arch/x86/paging/kernel_space.h"
#include "drivers/local_apic.h"
#include "drivers/time_base.h"
#include "kernel/abi/message.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/stop.h"
#include "test/host/lockstep/host_machine.h"
#include "test/host/lockstep/lockstep.h"
#include "test/host/lockstep/process_world.h"

char system_call_entry[1]; // where SYSENTER begins
char system_call_leave[2]; // and where it ends
char text_start[1], text_end[1], boot_stack[1], boot_stack_end[1];

static bool ended;

bool world_ended(void)
{
    return ended;
}

// The machine stands still from here on.
NORETURN void run_end(uint32_t status)
{
    lockstep_equal("status of the run", status, RUN_HOST_PANIC);
    ended = true;
    for (;;) {
        host_pause();
    }
}

uint64_t world_nmis;

void stop_answer(const struct trap_frame *frame)
{
    (void)frame;
    world_nmis++;
}

NORETURN void kernel_cannot_start(const char *reason)
{
    lockstep_fail("a trap before there was a kernel: %s", reason);
}

bool command_line_has(const char *word)
{
    (void)word;
    return false;
}

size_t log_read(char *buffer, size_t size)
{
    (void)buffer;
    (void)size;
    return 0;
}

enum status log_bind(uint32_t bit)
{
    (void)bit;
    return STATUS_OK;
}

enum status kernel_space_map_device(hpa_t physical, uint64_t size, uint32_t permissions,
                                    enum memory_type type, const struct page_source *source,
                                    void **address)
{
    (void)physical;
    (void)size;
    (void)permissions;
    (void)type;
    (void)source;
    (void)address;
    return STATUS_UNSUPPORTED;
}

uint64_t world_interrupts_ended;

void local_apic_end_of_interrupt(void)
{
    world_interrupts_ended++;
}

uint64_t time_base_tsc_hz(void)
{
    return 1000000000;
}
