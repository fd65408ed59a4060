# SPDX-License-Identifier: MIT
set(SOURCES config.c words.c)
