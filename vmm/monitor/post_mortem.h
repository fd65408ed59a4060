// SPDX-License-Identifier: MIT
// What a dead or stuck guest's host log gets: one block of lines that begin with "| ", which
// scripts/run completes by symbols and disassembly. Pure but for the log it is given.
#pragma once

#include "vmm/monitor/exit_trail.h"
#include "vmm/monitor/machine.h"

// Logs exits, exceptions, registers, page walks and code. Every group of the page must be valid.
// `title`: what happened, a few words.
void post_mortem(struct machine *machine, const struct exit_trail *trail, uint32_t vcpu,
                 const char *title);
