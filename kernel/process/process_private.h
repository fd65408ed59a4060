// SPDX-License-Identifier: MIT
// What the files of kernel/process share and nobody else needs.
#pragma once

#include "kernel/process/process.h"

// Enters a process that starts to live into the list of all: from now on it can be killed.
void process_list_add(struct process *process);

// Ends a listed process that never had a thread.
void process_abandon(struct process *process);

// Closes every handle, vCPUs first. Only at the end of a process: nobody uses them any more.
void process_close_all_handles(struct process *process);

// Frees address space and information page.
void process_free_space(struct process *process);

// Ends the notification of a thread of `watcher`.
void process_unwatch(struct process *process, const struct process *watcher);
