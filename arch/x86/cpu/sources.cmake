# SPDX-License-Identifier: MIT
set(SOURCES)
