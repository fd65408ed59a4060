# SPDX-License-Identifier: MIT
set(SOURCES config.c intercept.c words.c)
