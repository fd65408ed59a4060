/* SPDX-License-Identifier: MIT
 *
 * The ticket lock of kernel/lock/ticket_lock.c, for CPUS processors that take it ROUNDS times each.
 * Checked: mutual exclusion, first-come first-served order, no deadlock, every waiter gets its turn.
 * Tickets count modulo WRAP, so that the wrap-around of the C code's 64-bit counters is in the model;
 * it is right as long as fewer than WRAP processors wait.
 *
 * -DBROKEN is the twin that must fail: it draws the ticket by a read and a write instead of one
 * atomic addition.
 */
#ifndef CPUS
#define CPUS 3
#endif
#define ROUNDS 2
#define WRAP 4

byte next = 0;    /* lock->last */
byte serving = 0; /* lock->turn */
byte holders = 0; /* processors inside: never more than one */
byte entered = 0; /* the ticket that has to enter next */
bool waiting[CPUS];

active [CPUS] proctype cpu()
{
    byte ticket;
    byte round = 0;

    do
    :: round < ROUNDS ->
#ifdef BROKEN
        ticket = next;
        next = (ticket + 1) % WRAP;
#else
        /* kernel/lock/ticket_lock.c: uint64_t ticket = atomic_fetch_add_explicit(&lock->last, 1, memory_order_relaxed); */
        atomic { ticket = next; next = (next + 1) % WRAP }
#endif
        waiting[_pid] = true;
        /* kernel/lock/ticket_lock.c: while (atomic_load_explicit(&lock->turn, memory_order_acquire) != ticket) { */
        serving == ticket;
        waiting[_pid] = false;

        holders++;
        assert(holders == 1);
        assert(ticket == entered); /* first come, first served */
        entered = (entered + 1) % WRAP;
        holders--;

        /* kernel/lock/ticket_lock.c: uint64_t ticket = atomic_load_explicit(&lock->turn, memory_order_relaxed); */
        /* kernel/lock/ticket_lock.c: atomic_store_explicit(&lock->turn, ticket + 1, memory_order_release); */
        ticket = serving;
        serving = (ticket + 1) % WRAP;
        round++
    :: else -> break
    od
}

#if CPUS > 2
#define NOBODY_WAITS (!waiting[0] && !waiting[1] && !waiting[2])
#else
#define NOBODY_WAITS (!waiting[0] && !waiting[1])
#endif
/* Whoever waits stops waiting. */
ltl served { [] (waiting[0] -> <> !waiting[0]) && <> [] NOBODY_WAITS }
