# SPDX-License-Identifier: MIT
set(SOURCES smoke_main.c smoke_children.c smoke_processes.c smoke_calls.c smoke_vm.c
    smoke_smp.c smoke_mesh.c smoke_storm.c smoke_smp_vm.c smoke_paste.c)
