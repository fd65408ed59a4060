# SPDX-License-Identifier: MIT
set(SOURCES acpi.c acpi_tables.c io_apic.c local_apic.c machine_end.c ring.c serial.c time_base.c)
