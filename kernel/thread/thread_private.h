// SPDX-License-Identifier: MIT
// What thread.c and scheduler.c share and nobody else needs.
#pragma once

#include "kernel/thread/thread.h"

// Frees the stack and FPU area of a thread that ended, drops its own reference and tells its
// process. Runs on another stack of the same CPU.
void thread_free(struct thread *thread);
