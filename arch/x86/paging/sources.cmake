# SPDX-License-Identifier: MIT
set(SOURCES change.c clear.c entry.c kernel_space.c map.c page_table.c)
