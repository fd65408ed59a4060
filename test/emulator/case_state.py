# SPDX-License-Identifier: MIT
"""Registers survive exits and the switch between guests: two guests with patterns of their own share
the CPU and check every register they have."""
from support import folder, guest, run

CONFIG = """
[[vm]]
name = "first"
kernel = "{kernel}"
memory = "64M"
append = "seed=5 rounds=3000"
[[vm]]
name = "second"
kernel = "{kernel}"
memory = "64M"
append = "seed=77 rounds=3000"
"""


def test_two_guests_keep_their_registers():
    with folder() as place:
        config = place / "two.toml"
        config.write_text(CONFIG.format(kernel=guest("register_state.elf")))
        result = run("--engine", "bochs", "--config", config)
    result.expect(0, "vm 1 first ended: power-off", "vm 2 second ended: power-off").printed(
        "state kept in 3000 rounds\n")
