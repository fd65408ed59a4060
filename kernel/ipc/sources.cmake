# SPDX-License-Identifier: MIT
set(SOURCES channel_slot.c channel.c)
