# SPDX-License-Identifier: MIT
# Device models of a virtual machine, and the one file that wires them up.
set(SOURCES
    guest_memory.c
    clock.c
    bus.c
    uart.c
    pic.c
    pit.c
    rtc.c
    keyboard_controller.c
    test_ports.c
    acpi_pm.c
    acpi_tables.c
    platform.c)
