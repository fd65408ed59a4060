# SPDX-License-Identifier: MIT
set(SOURCES run_queue.c share.c user_context.c stack.c scheduler.c wake_queue.c thread.c condition.c)
