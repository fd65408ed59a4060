// SPDX-License-Identifier: MIT
// For tests whose threads are all the kernel's: what threads ask of processes.
#include "kernel/process/process.h"
#include "test/host/lockstep/lockstep.h"

void process_thread_ended(struct process *process, struct thread *thread)
{
    (void)process;
    (void)thread;
    lockstep_fail("there are no processes here");
}

void process_thread_freed(struct process *process)
{
    (void)process;
}
