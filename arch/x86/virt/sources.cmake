# SPDX-License-Identifier: MIT
set(SOURCES virt.c)
