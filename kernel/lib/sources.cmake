# SPDX-License-Identifier: MIT
set(SOURCES format.c frame.c status.c string.c)
