// SPDX-License-Identifier: MIT
// The two sides of a TLB shootdown (shootdown.h). No lock: counters with one rule each.
#include "kernel/memory/shootdown.h"
#include "arch/x86/cpu/registers.h"
#include "arch/x86/paging/layout.h"
#include "drivers/local_apic.h"
#include "kernel/lib/compiler.h"
#include "kernel/vm/vm.h"

static struct {
    _Atomic uint64_t requested; // added to by any CPU
    _Atomic uint64_t done;      // written by its own CPU's NMI handler
} ALIGNED(64) counters[CPU_MAXIMUM];

void shootdown(const struct cpu_set *set)
{
    uint64_t tickets[CPU_MAXIMUM] = {0};

    atomic_thread_fence(memory_order_seq_cst);
    uint64_t others =
        atomic_load_explicit(&set->bits, memory_order_seq_cst) & ~(1ull << this_cpu()->id);
    for (uint64_t left = others; left; left &= left - 1) {
        unsigned cpu = (unsigned)__builtin_ctzll(left);

        // Release, with the removed entries: pairs with the load in shootdown_answer.
        tickets[cpu] =
            atomic_fetch_add_explicit(&counters[cpu].requested, 1, memory_order_acq_rel) + 1;
        local_apic_send(cpu_of(cpu)->apic_id, LOCAL_APIC_NMI);
    }
    for (uint64_t left = others; left; left &= left - 1) {
        unsigned cpu = (unsigned)__builtin_ctzll(left);

        // Pairs with the store in shootdown_answer.
        while (atomic_load_explicit(&counters[cpu].done, memory_order_acquire) < tickets[cpu]) {
            cpu_relax();
        }
    }
}

void shootdown_answer(void)
{
    unsigned cpu = this_cpu()->id;
    uint64_t requested = atomic_load_explicit(&counters[cpu].requested, memory_order_acquire);

    if (requested != atomic_load_explicit(&counters[cpu].done, memory_order_relaxed)) {
        tlb_invalidate_user();
        vm_drop_translations();
        atomic_store_explicit(&counters[cpu].done, requested, memory_order_release);
    }
}
