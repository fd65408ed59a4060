# SPDX-License-Identifier: MIT
set(SOURCES run.c system_calls.c vcpu.c vm.c)
