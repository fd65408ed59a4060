# SPDX-License-Identifier: MIT
set(SOURCES log.c run.c system_calls.c vcpu.c vm.c)
