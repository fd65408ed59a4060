// SPDX-License-Identifier: MIT
// The kernel's event log: its entries, and the pages in which they leave the machine. Written by
// kernel/core/event_log.c; scripts/gatehouse/event_log.py makes files of it, which hold the entries
// as they stand here, and test/replay checks those against the specification.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "kernel/lib/compiler.h"

// What happened, on `cpu`, while thread number `thread` ran there (0: its idle thread, or boot).
// Beside each stand the words of its entry: object, value, state; a missing one is 0. Locks,
// channels, conditions, processes and pages are named by their kernel address, threads by their
// number, containers by their slot. `mode` is EVENT_MODE_*.
enum event_kind {
    // the machine
    EVENT_BOOT, // the log begins
    EVENT_CPU,  // cpu, 0, mode: its idle thread runs
    EVENT_END,  // 0, status: the log ends
    // locks
    EVENT_WAIT, // lock, ticket, rank: somebody else has it; the numbers follow the tickets nearly
    EVENT_OWN,  // lock, ticket, rank: numbered after it was taken
    EVENT_RELEASE, // lock, ticket: numbered before it is freed
    // threads
    EVENT_SPAWN,   // thread, CPU + container << 32, process (0: the kernel's): asleep
    EVENT_DISCARD, // thread: it never ran and is gone
    EVENT_EXIT,    // the running thread ended
    EVENT_SLEEP,  // condition, its lock (released next): the running thread; 0, 0: waits for events
    EVENT_WAKE,   // thread: it was asleep and is ready, on its own CPU
    EVENT_POST,   // thread: put into the wake queue of its CPU
    EVENT_TAKE,   // thread: taken out of it there
    EVENT_KILL,   // thread: it shall end
    EVENT_CHOOSE, // condition, thread: who waited longest there is to wake
    EVENT_WAITED, // condition, 1: it was chosen; 0: not: the running thread waits no more
    EVENT_RUN,    // thread: it runs from now on; who ran and did not sleep or end is ready
    // modes
    EVENT_EXIT_USER,  // vector, or EVENT_CALL + system call, 0, mode: ring 3 was left
    EVENT_START_USER, // 0, 0, mode: ring 3 runs on
    EVENT_HOSTOUT,    // vCPU, 0, mode: the guest is entered
    EVENT_HOSTIN,     // vCPU, exits that were finished on the way, mode: the guest was left
    // channels, but for the first two under the channel's lock
    EVENT_CHANNEL,     // channel, its lock, condition of its senders: made
    EVENT_CHANNEL_END, // channel: it is no more
    EVENT_CLAIM,       // channel, 0, slot: taken for a message
    EVENT_SEND,        // channel, bytes, slot: holds the message
    EVENT_RECEIVE,     // channel, bytes, slot: free, or handed to the sender that was chosen
    EVENT_PASS,        // channel, 0, slot: the same, but no message was sent or received
    // containers, under the tree's lock
    EVENT_SPLIT,  // child, quota, parent; at boot: root, quota, root
    EVENT_REVOKE, // container, quota, parent
    EVENT_ALLOC,  // container, pages, usage
    EVENT_FREE,   // container, pages, usage
    // pages
    EVENT_PAGE_FREE, // address, bytes: what lay there is no more
    EVENT_KIND_COUNT
};

#define EVENT_CALL      0x100u
#define EVENT_NO_TICKET UINT64_MAX // of a lock that gives none

// Modes of a CPU after the event: the flags ikern (kernel, not user, code) and ihost (host, not
// guest) of struct cpu_mode.
#define EVENT_MODE_GUEST       1u
#define EVENT_MODE_USER        2u
#define EVENT_MODE_HOST_KERNEL 3u

// A channel's slot after the event: busy, and the bytes stored in the high half.
#define EVENT_SLOT_BUSY         1u
#define EVENT_SLOT_COUNT(state) ((uint32_t)((state) >> 32))

struct event_entry {
    uint64_t order; // of all events of the run, from 0, without gaps
    uint64_t tsc;
    uint32_t thread;
    uint16_t cpu;
    uint16_t kind; // enum event_kind
    uint64_t object;
    uint64_t value;
    uint64_t state; // of what it changed, afterwards, where the table above names it
};
static_assert(sizeof(struct event_entry) == 48, "event_log.py knows this layout");
static_assert(offsetof(struct event_entry, thread) == 16 &&
                  offsetof(struct event_entry, kind) == 22,
              "event_log.py knows this layout");

// The log is a ring of pages in the machine's memory. Who runs the emulator looks into that from
// outside: finds the pages by their heads, wherever they lie, and takes the entries as they come.
// Entry n is in page n / EVENT_PAGE_ENTRIES % `count`; it is there once its `order` is n. A page is
// not written over before the reader has taken it.
#define EVENT_PAGE_MARK    0x6b5d2e4a97c1f38bull
#define EVENT_PAGE_ENTRIES 64u // and the rest of the page is free

struct event_page {
    uint64_t mark;
    uint16_t index;         // of this page
    uint16_t count;         // of pages
    _Atomic uint32_t taken; // by the reader: how often it has taken all entries of the page, or
                            // those up to EVENT_END
    struct event_entry entries[EVENT_PAGE_ENTRIES];
};
static_assert(sizeof(struct event_page) <= 4096 && offsetof(struct event_page, entries) == 16,
              "event_log.py knows this layout");
