// SPDX-License-Identifier: MIT
// Every basic exit reason of the manual's appendix and who deals with it: the one list that the
// scripts show (scripts/exits --reasons reads exit_reasons.c) and a host test holds against the
// backend's rows.
#pragma once

#include <stdint.h>

enum exit_fate {
    FATE_KERNEL,     // the kernel finishes it
    FATE_BOTH,       // the kernel what needs no policy, else the monitor
    FATE_MONITOR,    // a handler of exit_table.c
    FATE_REPORT,     // the VM ends with a report
    FATE_IMPOSSIBLE, // cannot happen under our controls; `why` names the one that rules it out
};

struct exit_reason_row {
    uint32_t reason;
    enum exit_fate fate;
    const char *name;
    const char *intercept; // the word of the configuration that brings it; "": none is needed
    const char *bochs;     // why the suite cannot provoke it in Bochs; "": it does
    const char *why;
};

#define EXIT_REASON_ROWS 74u
extern const struct exit_reason_row exit_reasons[EXIT_REASON_ROWS];
