/* SPDX-License-Identifier: MIT
 *
 * The TLB shootdown of kernel/memory/shootdown.h, its steps R1 to U2, for CPUS processors and TABLES
 * page tables of one page each. Every processor does one thing, the first one two, freely chosen: to use a
 * table for a while, or to take the page out of it, free its frame and map another one there.
 * An access through the table may happen at any time while it is loaded: from what the processor kept
 * of it, or from the entry as memory shows it then. A store to an entry is seen by others when it
 * leaves the processor's store buffer, which a full fence empties. NMIs interrupt everything, merge
 * while one is pending, and wait for the end of a handler.
 * Checked: no processor reaches a frame that was freed (no stale translation), no deadlock although
 * processors shoot at each other and wait for locks.
 *
 * The twins that must fail: -DBROKEN_FENCE reads the set before its store is seen; -DBROKEN_ANSWER
 * answers before it drops; -DBROKEN_JOIN loads the table before it joins the set; -DBROKEN_LEAVE leaves
 * the set before it drops; -DBROKEN_WAIT frees the frame without waiting.
 */
#ifndef CPUS
#define CPUS 3
#endif
#define TABLES 2
#define ABSENT 2 /* an entry is ABSENT or one of two frames that belong to its table */

byte entry[TABLES];           /* as all processors but the writer see it */
byte buffered[TABLES];        /* the writer's store on its way */
bool in_buffer[TABLES];
bool freed[4];                /* frame 2 * table + number */
bool locked[TABLES];
bool member[6];               /* cpu_set: table * CPUS + cpu */
byte loaded[CPUS];            /* CR3: a table, or TABLES for another one */
byte kept[CPUS];              /* the translation that a processor keeps of the loaded table */
byte requested[CPUS];         /* counters[cpu].requested */
byte done[CPUS];              /* counters[cpu].done */
bool nmi[CPUS];               /* an NMI is pending */

inline empty_buffer(t)
{
    atomic {
        if
        :: in_buffer[t] -> entry[t] = buffered[t]; in_buffer[t] = false
        :: else -> skip
        fi
    }
}

/* The processor reads the entry and keeps it, or goes by what it keeps. */
inline access(t)
{
    atomic {
        if
        :: kept[me] == ABSENT -> kept[me] = entry[t]
        :: else -> skip
        fi;
        assert(kept[me] == ABSENT || !freed[2 * t + kept[me]])
    }
}

inline use(t)
{
#ifdef BROKEN_JOIN
    atomic { loaded[me] = t; kept[me] = ABSENT };
    access(t);
    member[t * CPUS + me] = true;
#else
    /* kernel/memory/shootdown.h: atomic_fetch_or_explicit(&set->bits, 1ull << this_cpu()->id, memory_order_seq_cst); */
    member[t * CPUS + me] = true; /* L1 */
    /* kernel/thread/scheduler.c: cpu_set_join(&space->cpus); } scheduler->space = space; cr3_write(space ? space->table.root.value : kernel_space()->root.value); */
    atomic { loaded[me] = t; kept[me] = ABSENT }; /* L2 */
#endif
    do
    :: access(t)
    :: break
    od;
#ifdef BROKEN_LEAVE
    member[t * CPUS + me] = false;
    access(t);
    atomic { loaded[me] = TABLES; kept[me] = ABSENT }
#else
    atomic { loaded[me] = TABLES; kept[me] = ABSENT }; /* U1 */
    /* kernel/thread/scheduler.c: if (before) { cpu_set_leave(&before->cpus); } */
    member[t * CPUS + me] = false /* U2 */
#endif
}

inline remove(t)
{
    atomic { !locked[t] -> locked[t] = true };
    old = entry[t];
    atomic { buffered[t] = ABSENT; in_buffer[t] = true }; /* R1 */
#ifndef BROKEN_FENCE
    /* kernel/memory/shootdown.c: atomic_thread_fence(memory_order_seq_cst); */
    empty_buffer(t); /* R2 */
#endif
    /* kernel/memory/shootdown.c: uint64_t others = atomic_load_explicit(&set->bits, memory_order_seq_cst) & ~(1ull << this_cpu()->id); */
    atomic {
        c = 0;
        do
        :: c < CPUS -> other[c] = member[t * CPUS + c] && c != me; c++
        :: else -> break
        od;
        c = 0
    };
    do
    :: c < CPUS && other[c] -> /* R3 */
        /* kernel/memory/shootdown.c: atomic_fetch_add_explicit(&counters[cpu].requested, 1, memory_order_acq_rel) + 1; */
        atomic { requested[c]++; ticket[c] = requested[c] };
        /* kernel/memory/shootdown.c: local_apic_send(cpu_of(cpu)->apic_id, LOCAL_APIC_NMI); */
        nmi[c] = true;
        c++
    :: c < CPUS && !other[c] -> c++
    :: else -> break
    od;
    c = 0;
#ifndef BROKEN_WAIT
    do
    :: c < CPUS && other[c] -> /* R4 */
        /* kernel/memory/shootdown.c: while (atomic_load_explicit(&counters[cpu].done, memory_order_acquire) < tickets[cpu]) { */
        done[c] >= ticket[c];
        c++
    :: c < CPUS && !other[c] -> c++
    :: else -> break
    od;
#endif
    atomic { freed[2 * t + old] = true; c = 0 }; /* R5; from here on others may have the frame */
    empty_buffer(t);
    atomic { freed[2 * t + 1 - old] = false; entry[t] = 1 - old }; /* another one is mapped there */
    locked[t] = false
}

proctype cpu(byte me)
{
    byte operation = 0;
    byte old, c;
    bool other[CPUS];
    byte ticket[CPUS];

    do
    :: operation < (me == 0 -> 2 : 1) ->
        if
        :: use(0)
        :: use(1)
        :: remove(0)
        :: remove(1)
        fi;
        operation++
    :: else -> break
    od
}

/* Interrupts processor `me` between any two of its steps. */
proctype nmi_handler(byte me)
{
    byte n;

end:
    do
    :: nmi[me] ->
        nmi[me] = false;
        /* kernel/memory/shootdown.c: uint64_t requested = atomic_load_explicit(&counters[cpu].requested, memory_order_acquire); */
        n = requested[me]; /* H1 */
        if
        /* kernel/memory/shootdown.c: if (requested != atomic_load_explicit(&counters[cpu].done, memory_order_relaxed)) { */
        :: n != done[me] ->
#ifdef BROKEN_ANSWER
            done[me] = n;
            kept[me] = ABSENT
#else
            /* kernel/memory/shootdown.c: tlb_invalidate_user(); */
            kept[me] = ABSENT; /* H2 */
            /* kernel/memory/shootdown.c: atomic_store_explicit(&counters[cpu].done, requested, memory_order_release); */
            done[me] = n /* H3 */
#endif
        :: else -> skip
        fi
    od
}

/* A store leaves its buffer at some time. */
proctype store_buffer()
{
end:
    do
    :: in_buffer[0] -> empty_buffer(0)
    :: in_buffer[1] -> empty_buffer(1)
    od
}

init {
    byte i = 0;
    atomic {
        freed[1] = true;
        freed[3] = true;
        do
        :: i < CPUS -> loaded[i] = TABLES; kept[i] = ABSENT; run cpu(i); run nmi_handler(i); i++
        :: else -> break
        od;
        i = 0;
        run store_buffer()
    }
}
