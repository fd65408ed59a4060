# SPDX-License-Identifier: MIT
# Device models of a virtual machine, and the one file that wires them up.
set(SOURCES
    guest_memory.c)
