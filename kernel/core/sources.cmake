# SPDX-License-Identifier: MIT
set(SOURCES
    main.c log.c panic.c interrupt.c calls_serial.c selftest.c
    system_call_table.c calls_thread.c calls_process.c calls_device.c)
