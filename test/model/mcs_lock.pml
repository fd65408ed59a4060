/* SPDX-License-Identifier: MIT
 *
 * The MCS lock, for CPUS processors that take it ROUNDS times each. A link is the word in which the
 * next comer announces itself: LOCK_LINK is `turn` of the lock, 1 + cpu the `next` of a waiter.
 * Checked: mutual exclusion, first come first served, no deadlock, no step writes to a waiter's record
 * after the call that it lives in has ended, the lock is free at the end.
 * The model is sequentially consistent; the C code's acquire and release pairs order the same accesses.
 *
 * The twins that must fail: -DBROKEN_TAKE_OVER frees the waiter's record without looking whether
 * somebody has come behind it; -DBROKEN_PASS_ON does not await the announcement of the next one.
 */
#define CPUS 3
#define ROUNDS 2
#define NOBODY 0
#define LOCK_LINK (CPUS + 1)

byte last = NOBODY;       /* lock->last */
byte link[CPUS + 2];      /* waiter.next of each CPU, and lock->turn at LOCK_LINK */
bool has_turn[CPUS + 2];  /* waiter.has_turn */
bool alive[CPUS + 2];     /* the waiter's record is on the stack of a call that has not ended */
byte holders = 0;
byte done = 0;
chan line = [CPUS] of { byte }; /* in what order they came */

proctype cpu(byte me)
{
    byte before, after, first;
    byte round = 0;
    bool taken;

    do
    :: round < ROUNDS ->
        /* lock_acquire */
        atomic {
            /* kernel/lock/mcs_lock.c: if (UNLIKELY(!replace_last(lock, 0, link_of(&lock->turn)))) { */
            if
            :: last == NOBODY -> last = LOCK_LINK; taken = true; line ! me
            :: else -> taken = false
            fi
        };
        if
        :: taken -> skip
        :: else ->
            /* kernel/lock/mcs_lock.c: atomic_store_explicit(&self->next, 0, memory_order_relaxed); atomic_store_explicit(&self->has_turn, false, memory_order_relaxed); */
            d_step { link[me] = NOBODY; has_turn[me] = false; alive[me] = true };
            /* kernel/lock/mcs_lock.c: atomic_exchange_explicit(&lock->last, link_of(&self->next), memory_order_acq_rel); */
            atomic { before = last; last = me; line ! me };
            if
            :: before != NOBODY ->
                /* kernel/lock/mcs_lock.c: atomic_store_explicit((_Atomic uint64_t *)(uintptr_t)before, (uint64_t)(uintptr_t)self, memory_order_release); */
                assert(before == LOCK_LINK || alive[before]);
                link[before] = me;
                /* kernel/lock/mcs_lock.c: while (!atomic_load_explicit(&self->has_turn, memory_order_acquire)) { */
                has_turn[me]
            :: else -> skip
            fi;
            /* kernel/lock/mcs_lock.c: atomic_store_explicit(&lock->turn, 0, memory_order_relaxed); */
            link[LOCK_LINK] = NOBODY;
            /* kernel/lock/mcs_lock.c: if (!replace_last(lock, link_of(&self->next), link_of(&lock->turn))) { */
#ifdef BROKEN_TAKE_OVER
            last = LOCK_LINK;
            taken = true;
#else
            atomic {
                if
                :: last == me -> last = LOCK_LINK; taken = true
                :: else -> taken = false
                fi
            };
#endif
            if
            :: taken -> skip
            :: else ->
                /* kernel/lock/mcs_lock.c: atomic_store_explicit(&lock->turn, await_next(&self->next), memory_order_relaxed); */
                atomic { link[me] != NOBODY -> after = link[me] };
                link[LOCK_LINK] = after
            fi;
            alive[me] = false
        fi;

        holders++;
        assert(holders == 1);
        line ? first;
        assert(first == me); /* first come, first served */
        holders--;

        /* lock_release */
        atomic {
            /* kernel/lock/mcs_lock.c: if (UNLIKELY(!replace_last(lock, link_of(&lock->turn), 0))) { */
            if
            :: last == LOCK_LINK -> last = NOBODY; taken = true
            :: else -> taken = false
            fi
        };
        if
        :: taken -> skip
        :: else ->
            /* kernel/lock/mcs_lock.c: struct waiter *next = (struct waiter *)(uintptr_t)await_next(&lock->turn); */
#ifdef BROKEN_PASS_ON
            after = link[LOCK_LINK];
#else
            atomic { link[LOCK_LINK] != NOBODY -> after = link[LOCK_LINK] };
#endif
            /* kernel/lock/mcs_lock.c: atomic_store_explicit(&next->has_turn, true, memory_order_release); */
            assert(alive[after]);
            has_turn[after] = true
        fi;
        round++
    :: else -> break
    od;
    done++;
    assert(done < CPUS || last == NOBODY)
}

init {
    byte c = 1;
    atomic {
        do
        :: c <= CPUS -> run cpu(c); c++
        :: else -> break
        od
    }
}
