# SPDX-License-Identifier: MIT
"""Two Linux guests and a test kernel on one CPU: own consoles, nobody starves, and the end of one
gives all its memory back and leaves the others alone."""
import re

from support import Person, folder, guest, run

CONFIG = """
[[vm]]
name = "first"
memory = "192M"
[[vm]]
name = "second"
memory = "192M"
[[vm]]
name = "counter"
kernel = "{counter}"
memory = "64M"
"""
KEY = "\x01"


def _shell_answers(person, number):
    """The guest in front runs a command."""
    person.type(f"echo $(({number} * 1000 + 1))\r")
    person.wait_for(f"\n{number}001")


def test_two_linux_and_a_test_kernel():
    with folder() as place:
        config = place / "three.toml"
        config.write_text(CONFIG.format(counter=guest("counter.elf")))
        kept = place / "kept"
        person = Person("--engine", "bochs", "--config", config, "--keep", kept)
        try:
            person.wait_for(" # ", 300)
            _shell_answers(person, 1)
            person.type(KEY + "2")
            person.wait_for("console 2: second")
            person.type("\r")
            person.wait_for(" # ", 300)
            _shell_answers(person, 2)
            person.type(KEY + "3")
            person.wait_for("checksum")
            person.type(KEY + "k")
            person.wait_for("vm 3 counter ended")
            person.type(KEY + "1")
            person.wait_for("console 1: first")
            _shell_answers(person, 3)
            person.type(KEY + "l")
            person.wait_for("counter")
            person.type("poweroff -f\r")
            person.wait_for("vm 1 first ended")
            person.type(KEY + "2")
            person.wait_for("console 2: second")
            _shell_answers(person, 4)
            person.type("poweroff -f\r")
            assert person.end() == 0, person.seen[-2000:]
        finally:
            person.close()
        log = (kept / "host.log").read_text(errors="replace")
    assert log.count("all its memory is back") == 3 and "memory is missing" not in log, log[-3000:]


WEIGHTS = """
[[vm]]
name = "heavy"
kernel = "{counter}"
append = "lines=36"
memory = "32M"
weight = 300
[[vm]]
name = "light"
kernel = "{counter}"
append = "lines=16"
memory = "32M"
"""


def test_weights_one_to_three():
    """Two guests that never rest: while the heavy one lives, three ticks of four are its."""
    with folder() as place:
        config = place / "weights.toml"
        config.write_text(WEIGHTS.format(counter=guest("counter.elf")))
        result = run("--engine", "bochs", "--config", config, "--stats", limit=300)
        result.expect(0, "vm 1 heavy ended", "vm 2 light ended")
        assert result.errors.index("vm 1 heavy ended") < result.errors.index("vm 2 light ended")
    table = result.errors.split("statistics of guest 1 (heavy)")[1]
    ticks = {name: int(count) for name, count
             in re.findall(r"  ticks (other|elapsed) +(\d+) ", table.split("statistics of")[0])}
    ratio = (ticks["elapsed"] - ticks["other"]) / ticks["other"]
    assert 2.7 <= ratio <= 3.3, (ratio, ticks)
