# SPDX-License-Identifier: MIT
set(SOURCES bench_main.c)
