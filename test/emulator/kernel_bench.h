// SPDX-License-Identifier: MIT
// Measurements inside the kernel, by kernel_selftest.c when the command line says "bench" too.
#pragma once

// Prints a line "bench NAME TICKS" for each operation, and "curve NAME COUNT TICKS" for each that
// is measured among COUNT objects of its kind.
void kernel_bench(void);
