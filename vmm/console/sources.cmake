# SPDX-License-Identifier: MIT
set(SOURCES main.c command.c escape.c frame.c line.c mux.c no_vms.c output.c vm_messages.c vm_table.c)
