# SPDX-License-Identifier: MIT
set(SOURCES format.c status.c string.c)
