# SPDX-License-Identifier: MIT
set(SOURCES
    main.c log.c event_log.c panic.c processors.c interrupt.c calls_serial.c
    system_call_table.c calls_thread.c calls_process.c calls_device.c
    ../../test/emulator/kernel_selftest.c) # run only when the command line says "selftest"
