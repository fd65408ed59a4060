// SPDX-License-Identifier: MIT
// TLB shootdown: how a page-table entry is taken away from all CPUs before its frame is reused, for
// the tables of processes (CR3) and of VMs (EPT) alike.
//
// Each table has a set of the CPUs that may hold translations of it. Requests travel as NMIs, which
// reach a CPU in ring 3, in a guest, and in the kernel with interrupts off; so a CPU that waits for
// a lock, or for answers to requests of its own, still answers, and nobody waits in a circle.
// Each CPU c has two counters that only grow: requested[c], added to by any CPU, and done[c],
// written by c in its NMI handler alone, which no second NMI interrupts.
//
// The remover, on CPU r, holding the table's lock:
//   R1  makes the entries "not present".
//   R2  drops its own translations; after a full fence reads the table's set.
//   R3  for each CPU c of the set but r: ticket[c] := ++requested[c], then sends an NMI to c.
//   R4  for each of them: waits until done[c] >= ticket[c].
//   R5  frees frames and table pages.
// CPU c, in its NMI handler:
//   H1  n := requested[c].
//   H2  drops all its translations of processes and guests.
//   H3  done[c] := n.
//   NMIs that arrive meanwhile become one, which is taken after the handler's end: the request
//   behind it was counted before it was sent, so the second H1 sees it.
// CPU c before it uses a table:
//   L1  joins the set (a full fence).
//   L2  loads CR3, or enters a guest: from here on it may read entries and keep translations.
//   Either R2 sees c in the set, or L1 came after R2 and so L2 after R1: c reads no old entry.
// CPU c after its last use:
//   U1  loads another CR3, which drops its translations of the table.
//   U2  leaves the set. (A CPU stays in a VM's set to the VM's end: VM entries drop nothing.)
// The kernel itself never reads user memory through a process's translations (user_copy.h).
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include "arch/x86/cpu/cpu.h"

struct cpu_set { // bit n: CPU n
    _Atomic uint64_t bits;
};
static_assert(CPU_MAXIMUM <= 64, "one bit per CPU");

// L1 and U2 for the CPU that calls. Sequentially consistent: pairs with the fence and load of R2.
static inline void cpu_set_join(struct cpu_set *set)
{
    atomic_fetch_or_explicit(&set->bits, 1ull << this_cpu()->id, memory_order_seq_cst);
}

static inline void cpu_set_leave(struct cpu_set *set)
{
    atomic_fetch_and_explicit(&set->bits, ~(1ull << this_cpu()->id), memory_order_release);
}

// R2 to R4 but for the caller's own translations, which it has dropped: once this returns, no CPU
// uses translations of what was removed from the table of `set`. Any lock may be held.
void shootdown(const struct cpu_set *set);

// H1 to H3, called by the NMI handler.
void shootdown_answer(void);
