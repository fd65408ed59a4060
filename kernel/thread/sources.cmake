# SPDX-License-Identifier: MIT
set(SOURCES run_queue.c share.c stack.c scheduler.c thread.c condition.c)
