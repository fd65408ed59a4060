# SPDX-License-Identifier: MIT
# GATEHOUSE_LOCK and GATEHOUSE_CHECKED (kernel/CMakeLists.txt) pick the files behind lock.h.
set(SOURCES ${lock}_lock.c lock_wait.c)
if(lock STREQUAL "mcs")
    list(APPEND SOURCES mcs_lock_cpu.c)
endif()
if(checked)
    list(APPEND SOURCES lock_order.c lock_checked.c)
else()
    list(APPEND SOURCES lock_plain.c)
endif()
