# SPDX-License-Identifier: MIT
set(SOURCES cpuid_table.c run.c system_calls.c vcpu.c vm.c)
