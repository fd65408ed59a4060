# SPDX-License-Identifier: MIT
# GATEHOUSE_CHECKED (kernel/CMakeLists.txt) picks the file behind mode.h. What lies in test/ runs only
# when the command line says "selftest".
set(SOURCES
    main.c log.c event_log.c panic.c processors.c stop.c interrupt.c calls_serial.c
    system_call_table.c calls_thread.c calls_process.c calls_device.c
    ../../test/emulator/kernel_bench.c ${selftest})
if(checked)
    list(APPEND SOURCES mode_checked.c)
else()
    list(APPEND SOURCES mode_plain.c)
endif()
