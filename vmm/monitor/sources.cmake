# SPDX-License-Identifier: MIT
set(SOURCES guest_access.c guest_walk.c)
