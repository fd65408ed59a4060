// SPDX-License-Identifier: MIT
// The end of the machine (stop.h).
#include "test/spec/stop.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void begin(const struct spec_stop *now, struct spec_stop *next)
{
    if (next != now) {
        *next = *now;
    }
}

enum spec_rule stop_claim_spec(const struct spec_stop *now, uint32_t cpu, struct spec_stop *next)
{
    if (now->ender != SPEC_NONE && now->ender != cpu) {
        return STOP_ENDER;
    }
    begin(now, next);
    next->ender = cpu;
    return SPEC_ALLOWED;
}

bool stop_answer_spec(const struct spec_stop *now, uint32_t cpu, uint64_t rip, bool user,
                      struct spec_stop *next)
{
    begin(now, next);
    if (now->ender == SPEC_NONE || now->ender == cpu || now->cpus[cpu].stopping) {
        return false;
    }
    next->cpus[cpu].rip = rip;
    next->cpus[cpu].user = user;
    next->cpus[cpu].stopped = true;
    return true;
}

void stop_here_spec(const struct spec_stop *now, uint32_t cpu, const char *message, uint64_t rip,
                    struct spec_stop *next)
{
    struct spec_stopped *stopped = &next->cpus[cpu];

    begin(now, next);
    stopped->stopping = true;
    stopped->stopped = true;
    stopped->rip = rip;
    snprintf(stopped->message, sizeof(stopped->message), "%s", message);
}

uint32_t stop_others_spec(const struct spec_stop *now)
{
    uint32_t cpus = 0;

    for (uint32_t i = 0; i < SPEC_STOP_CPUS; i++) {
        cpus |= (uint32_t)(i != now->ender && !now->cpus[i].stopped) << i;
    }
    return cpus;
}

static void describe(const struct spec_stop *now, uint32_t cpu, const struct spec_doing *doing,
                     char *text, size_t size)
{
    const struct spec_stopped *stopped = &now->cpus[cpu];

    if (cpu == now->ender) {
        snprintf(text, size, "it ended the machine");
    } else if (!stopped->stopped) {
        snprintf(text, size, "it does not answer");
    } else if (doing->idle) {
        snprintf(text, size, "idle, rip 0x%" PRIx64, stopped->rip);
    } else {
        snprintf(text, size, "%s, rip 0x%" PRIx64 ", thread %" PRIu32 " of %s",
                 doing->guest    ? "guest"
                 : stopped->user ? "ring 3"
                                 : "kernel",
                 stopped->rip, doing->thread, doing->process ? doing->process : "the kernel");
    }
}

uint32_t stop_report_spec(const struct spec_stop *now, uint32_t cpu, const struct spec_doing *doing,
                          char *text, uint32_t size)
{
    char what[160];
    int length;

    describe(now, cpu, doing, what, sizeof(what));
    length = snprintf(text, size,
                      "  cpu %" PRIu32 ": %s; last trap of ring 3: %s, address 0x%" PRIx64
                      ", rip 0x%" PRIx64 "\n",
                      cpu, what, doing->return_address ? doing->trap : "none", doing->fault_address,
                      doing->return_address);
    if (now->cpus[cpu].message[0] != 0) {
        length += snprintf(text + length, size - (uint32_t)length, "  cpu %" PRIu32 ": panic: %s\n",
                           cpu, now->cpus[cpu].message);
    }
    return (uint32_t)length;
}
