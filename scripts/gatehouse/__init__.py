# SPDX-License-Identifier: MIT
"""Shared modules of the programs in scripts/. Python 3.11 standard library only."""
