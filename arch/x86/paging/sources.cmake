# SPDX-License-Identifier: MIT
set(SOURCES entry.c kernel_space.c page_table.c)
