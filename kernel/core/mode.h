// SPDX-License-Identifier: MIT
// The mode of each CPU (arch/x86/cpu/cpu.h) and the four steps that change it. Each costs one store
// in a plain build; a checked build stops at one that is taken from the wrong mode, with a lock
// held, or with another page table or kernel stack in force than the mode says (mode_checked.c).
//
// ipt means: this code goes by the upper half of the page table, which is the kernel's own and the
// same in all of them. CR3 stays the process's between its system calls; the lower half is read and
// written by nothing but user_copy.c, through the direct map. So proc_start_user and proc_exit_user
// load no page table: scheduler_switch loaded the one of the thread that runs.
#pragma once

#include "arch/x86/cpu/cpu.h"

// What a checked build demands before this CPU's mode goes from one to another: that it is the
// first one, and what belongs to both. Nothing in a plain build (mode_plain.c).
/*@
  requires \valid_read(cpu) && cpu->mode == from;
  terminates \true;
  assigns \nothing;
*/
void mode_check(const struct cpu *cpu, enum cpu_mode from, enum cpu_mode to);

// The boot of this CPU is over: init, ikern, ihost, pg and ipt are set.
/*@
  requires \valid(cpu) && cpu->mode == MODE_BOOT;
  terminates \true;
  assigns cpu->mode;
  ensures cpu->mode == MODE_INIT + MODE_IKERN + MODE_IHOST + MODE_PG + MODE_IPT;
*/
static inline void mode_start(struct cpu *cpu)
{
    mode_check(cpu, MODE_BOOT, MODE_KERNEL);
    cpu->mode = MODE_KERNEL;
}

// This CPU is about to run a guest. Requires init, ikern, ihost and pg; clears ihost.
/*@
  requires \valid(cpu) && cpu->mode == MODE_KERNEL;
  terminates \true;
  assigns cpu->mode;
  ensures cpu->mode == \old(cpu->mode) - MODE_IHOST;
*/
static inline void hostout(struct cpu *cpu)
{
    mode_check(cpu, MODE_KERNEL, MODE_GUEST);
    cpu->mode = MODE_GUEST;
}

// The guest has exited. Requires init, ikern and not ihost; sets ihost.
/*@
  requires \valid(cpu) && cpu->mode == MODE_GUEST;
  terminates \true;
  assigns cpu->mode;
  ensures cpu->mode == \old(cpu->mode) + MODE_IHOST;
*/
static inline void hostin(struct cpu *cpu)
{
    mode_check(cpu, MODE_GUEST, MODE_KERNEL);
    cpu->mode = MODE_KERNEL;
}

// The running thread goes on in ring 3, with the registers that its kernel stack holds. Requires
// init, ikern, ihost, pg and ipt; clears ikern and ipt. Nothing but the way back follows it.
/*@
  requires \valid(cpu) && cpu->mode == MODE_KERNEL;
  terminates \true;
  assigns cpu->mode;
  ensures cpu->mode == \old(cpu->mode) - MODE_IKERN - MODE_IPT;
*/
static inline void proc_start_user(struct cpu *cpu)
{
    mode_check(cpu, MODE_KERNEL, MODE_USER);
    cpu->mode = MODE_USER;
}

// The running thread came from ring 3, by a trap. Requires ihost, pg and not ikern; sets ikern and
// ipt. SYSENTER comes by system_call.asm instead; system_call_table.c checks what that left.
/*@
  requires \valid(cpu) && cpu->mode == MODE_USER;
  terminates \true;
  assigns cpu->mode;
  ensures cpu->mode == \old(cpu->mode) + MODE_IKERN + MODE_IPT;
*/
static inline void proc_exit_user(struct cpu *cpu)
{
    mode_check(cpu, MODE_USER, MODE_KERNEL);
    cpu->mode = MODE_KERNEL;
}
