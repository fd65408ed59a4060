# SPDX-License-Identifier: MIT
set(SOURCES status.c string.c)
