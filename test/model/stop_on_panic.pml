/* SPDX-License-Identifier: MIT
 *
 * The end of the machine (kernel/core/panic.c, stop.c) on CPUS processors. Each of them works a while:
 * takes the lock of the log, writes there, asks another one for a shootdown, which comes as an NMI too,
 * and may find a bug at any of these steps, with the lock held or not, alone or at the same time as others;
 * the one that ends the machine may find another bug while it does. An NMI interrupts a processor
 * between any two steps, a panic's included; NMIs merge while one is pending and wait for the end of
 * a handler. The time limit of the wait for those that do not answer is left out: all answer here.
 * Checked: one processor at most ends the machine; once it reports, all others have stopped and stay so,
 * and what it reads of each is whole; nobody waits for ever, so each stops within the steps that are here.
 *
 * The twins that must fail: -DBROKEN_LOCK takes the lock of the log for the report; -DBROKEN_RECORD tells
 * that it has stopped before it has written where; -DBROKEN_MESSAGE lets an NMI stop a processor in the
 * middle of its own panic's message; -DBROKEN_ENDER lets a late NMI stop the one that ends the machine;
 * -DBROKEN_WAIT reports at once; -DBROKEN_AGAIN lets a second bug of that one wait for another to end it.
 */
#ifndef CPUS
#define CPUS 3
#endif
#define NONE 255

mtype = { EMPTY, HALF, WHOLE };

byte ender = 0; /* a processor + 1 */
byte log_lock = NONE; /* its holder */
bool nmi[CPUS]; /* an NMI is pending */
bool in_nmi[CPUS];
bool halted[CPUS];
bool stopping[CPUS];
bool stopped[CPUS];
bool rip[CPUS]; /* records[cpu].rip is written */
mtype message[CPUS]; /* records[cpu].message */
byte reports = 0;
bool reporting = false;

/* Nobody else does anything any more once the report begins. */
inline work()
{
    assert(!reporting || ender == me + 1)
}

/* stop_claim */
inline claim(answer)
{
    /* kernel/core/stop.c: return atomic_compare_exchange_strong(&ender, &before, self) || before == self; */
    d_step {
        if
        :: ender == 0 -> ender = me + 1
        :: else -> skip
        fi;
        answer = ender == me + 1
    }
}

/* stop_others */
inline stop_others()
{
    c = 0;
    do
    :: c < CPUS ->
        /* kernel/core/stop.c: if (cpu != self && !has_stopped(cpu)) { local_apic_send(cpu_of(cpu)->apic_id, LOCAL_APIC_NMI); } */
        atomic {
            if
            :: c != me && !stopped[c] -> nmi[c] = true
            :: else -> skip
            fi;
            c++
        }
    :: else -> break
    od;
    c = 0;
#ifndef BROKEN_WAIT
    do
    :: c < CPUS ->
        /* kernel/core/stop.c: while (cpu != self && !has_stopped(cpu) && tsc_read() < end) { */
        atomic { c == me || stopped[c] -> c++ }
    :: else -> break
    od;
    c = 0
#endif
}

/* panic: the report of the one that ends the machine */
inline report()
{
#ifdef BROKEN_LOCK
    log_lock == NONE;
#endif
    /* kernel/core/panic.c: stop_others(); log_flush_unread(); */
    /* kernel/core/stop.c: return atomic_load_explicit(&records[cpu].stopped, memory_order_acquire); */
    d_step {
        reporting = true;
        c = 0;
        do
        :: c < CPUS ->
            assert(c == me || (stopped[c] && rip[c] && message[c] != HALF));
            c++
        :: else -> break
        od;
        c = 0;
        reports++
    }
}

/* stop_here: for another one that panics at the same time */
inline stop_here()
{
    /* kernel/core/stop.c: atomic_store_explicit(&record->stopping, true, memory_order_relaxed); */
    stopping[me] = true;
    /* kernel/core/stop.c: (void)format_text_va(record->message, sizeof(record->message), format, arguments); */
    message[me] = HALF;
    message[me] = WHOLE;
#ifdef BROKEN_RECORD
    stopped[me] = true;
#endif
    /* kernel/core/stop.c: record->rip = (uint64_t)__builtin_return_address(0); halt(record); */
    rip[me] = true;
    /* kernel/core/stop.c: atomic_store_explicit(&record->stopped, true, memory_order_release); halt_forever(); */
    stopped[me] = true
}

inline again()
{
#ifdef BROKEN_AGAIN
    goto halt
#else
    claim(mine);
    assert(mine);
    stop_others()
#endif
}

inline panic()
{
    /* kernel/core/panic.c: if (!stop_claim()) { stop_here(format, arguments); } */
    claim(mine);
    if
    :: mine ->
        stop_others();
        if
        :: skip
        :: again() /* a bug in the panic itself */
        fi;
        report();
        assert(reports == 1)
    :: else ->
        stop_here()
    fi;
    goto halt
}

/* A bug may show itself here. */
inline hazard()
{
    if
    :: skip
    :: panic()
    fi
}

/* What a processor does that nothing is wrong with: it may hold a lock while it does it. */
inline round()
{
    if
    :: atomic { log_lock == NONE -> log_lock = me; work() }
    :: hazard()
    fi;
    hazard();
    /* a shootdown of another one's translations */
    atomic { work(); nmi[(me + 1) % CPUS] = true };
    atomic { work(); log_lock = (log_lock == me -> NONE : log_lock) }
}

proctype cpu(byte me) provided (!in_nmi[me])
{
    byte c = 0;
    bool mine = false;

    {
        round();
        /* It idles now: in HLT, or in a guest. */
halt:
end_halt:
        false
    } unless { halted[me] }
}

/* stop_answer; a shootdown is answered behind it. */
proctype nmi_handler(byte me)
{
    byte who;

end:
    do
    :: atomic { nmi[me] && !halted[me] -> nmi[me] = false; in_nmi[me] = true };
        /* kernel/core/stop.c: uint32_t who = atomic_load_explicit(&ender, memory_order_acquire); */
        who = ender;
        if
        /* kernel/core/stop.c: if (who == 0 || who == this_cpu()->id + 1 || record->stopping) { return; } */
        :: who == 0 -> in_nmi[me] = false
#ifndef BROKEN_ENDER
        :: who == me + 1 -> in_nmi[me] = false
#endif
#ifndef BROKEN_MESSAGE
        :: stopping[me] -> in_nmi[me] = false
#endif
        :: else ->
#ifdef BROKEN_RECORD
            stopped[me] = true;
#endif
            /* kernel/core/stop.c: record->rip = frame->rip; record->user = trap_from_user(frame); halt(record); */
            rip[me] = true;
            stopped[me] = true;
            atomic { halted[me] = true; in_nmi[me] = false }
        fi
    od
}

/* Nothing goes on any more: the machine has ended if it was to, and all of it has stopped. */
active proctype monitor()
{
    byte c = 0;

    timeout;
    d_step {
        assert(ender == 0 || reports == 1);
        do
        :: c < CPUS -> assert(ender == 0 || ender == c + 1 || stopped[c]); c++
        :: else -> break
        od
    }
}

init {
    byte i = 0;
    atomic {
        do
        :: i < CPUS -> message[i] = EMPTY; run cpu(i); run nmi_handler(i); i++
        :: else -> break
        od
    }
}
