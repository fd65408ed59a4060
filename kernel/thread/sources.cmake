# SPDX-License-Identifier: MIT
set(SOURCES run_queue.c stack.c scheduler.c thread.c condition.c)
