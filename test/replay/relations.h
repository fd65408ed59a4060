// SPDX-License-Identifier: MIT
// Which events of a log stand and fall with which others, by their kinds and words alone and
// without the specification: what corrupt.c measures the replay by.
//
// Each event changes few things, and each thing is checked whenever an event needs it: the owner of
// a lock, the mode of a CPU, the thread on it, the state of a thread, a waiter, a channel's slot,
// the pages in use of a container. An event needs an earlier one if that made the thing what it has
// to be. What nothing needs may be dropped (the last event about a thing, a wait for a lock that
// was free after all); what commutes may be exchanged (events of two CPUs, or of one, about
// different things); what changes nothing more the second time may be doubled (kill, the freeing of
// a page).
#pragma once

#include "test/replay/log.h"

#define NOWHERE SIZE_MAX

// Event `later` is not allowed if event `earlier`, the last one before it about what they share,
// did not happen.
bool relations_needs(const struct log *log, size_t later, size_t earlier);

// The first event that needs the one at `at`, among the next `ahead`; NOWHERE: none.
size_t relations_first_needing(const struct log *log, size_t at, size_t ahead);

// The event is not allowed a second time right behind itself.
bool relations_once_only(const struct log *log, size_t at);

// Event `earlier` is not allowed right after event `later`, which follows it in the log.
bool relations_spoils(const struct log *log, size_t later, size_t earlier);
