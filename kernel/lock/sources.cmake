# SPDX-License-Identifier: MIT
# GATEHOUSE_LOCK and GATEHOUSE_CHECKED (kernel/CMakeLists.txt) pick the files behind lock.h.
set(SOURCES ${lock}_lock.c lock_wait.c)
if(checked)
    list(APPEND SOURCES lock_order.c lock_checked.c)
else()
    list(APPEND SOURCES lock_plain.c)
endif()
