# SPDX-License-Identifier: MIT
# Device models of a virtual machine, and the one file that wires them up.
set(SOURCES
    guest_memory.c
    clock.c
    bus.c
    uart.c
    pic.c
    local_apic.c
    local_apic_timer.c
    local_apic_virtual.c
    apic_bus.c
    io_apic.c
    pit.c
    rtc.c
    keyboard_controller.c
    test_ports.c
    test_device.c
    fw_cfg.c
    pci_host.c
    acpi_pm.c
    acpi_tables.c
    platform.c)
