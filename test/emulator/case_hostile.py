# SPDX-License-Identifier: MIT
"""Hostile guests beside a neighbour that counts: whatever they do, the neighbour's checksums are
those of a machine of its own, the console answers, and all memory comes back."""
import random
import re

from support import Person, folder, guest, patience, run

STEPS = 1 << 20
WORD = 0xffffffff
KEY = "\x01"
NEIGHBOUR = """
[[vm]]
name = "neighbour"
kernel = "{kernel}"
append = "{append}"
memory = "16M"
"""
HOSTILE = """
[[vm]]
name = "hostile{seed}"
kernel = "{kernel}"
append = "seed={seed} events={events} deadly={deadly}"
memory = "32M"
apic = "on"
reset = "end"
watchdog = "5,stop"
"""


def _expected(lines):
    """What guests/counter prints, computed here."""
    checksum, text = 1, ""
    for line in range(1, lines + 1):
        for i in range(STEPS):
            checksum = ((checksum << 5 | checksum >> 27) & WORD) ^ ((checksum + i) & WORD)
        text += f"counter {line} checksum {checksum:#x}\n"
    return text


def _config(tame, deadly, events, lines):
    text = NEIGHBOUR.format(kernel=guest("counter.elf"), append=f"lines={lines}")
    for seeds, may_die in ((tame, 0), (deadly, 1)):
        for seed in seeds:
            text += HOSTILE.format(kernel=guest("hostile.elf"), seed=seed, events=events,
                                   deadly=may_die)
    return text


def _ends(errors):
    return dict(re.findall(r"vm \d+ (\S+) ended: (.*)", errors))


def _hostile(tame, deadly, events, lines, limit):
    """Guests that survive all their events, and such as may end their machine; events survived."""
    limit = int(patience(limit))
    with folder() as place:
        config = place / "hostile.toml"
        config.write_text(_config(tame, deadly, events, lines))
        result = run("--engine", "bochs", "--config", config, "--timeout", limit,
                     limit=limit + 30)
    print(f"     seeds {tame} deadly {deadly} events {events}", flush=True)
    assert result.status != 124, result.errors[-3000:]
    assert result.output.decode() == _expected(lines), result.output[-500:]
    ends = _ends(result.errors)
    assert len(ends) == 1 + len(tame) + len(deadly), result.errors[-3000:]
    for seed in tame:
        assert ends[f"hostile{seed}"].endswith("the guest wrote 0 to port 0xf4"), ends
    assert result.errors.count("all its memory is back") == len(ends), result.errors[-3000:]
    assert "memory is missing" not in result.errors, result.errors[-3000:]
    return events * len(tame)


def test_neighbour_and_memory_survive():
    _hostile([1, 2, 3, 4], [5, 6, 7, 8], 2000, 4, 200)


def test_console_answers_beside_a_reset_loop():
    """A guest that resets itself for ever, and one that dies of triple faults, are listed, killed."""
    with folder() as place:
        config = place / "loop.toml"
        text = NEIGHBOUR.format(kernel=guest("counter.elf"), append="")
        for name, way in (("loop", 1), ("triple", 0)):
            text += (f'[[vm]]\nname = "{name}"\nkernel = "{guest("hostile.elf")}"\n'
                     f'append = "end={way}"\nmemory = "16M"\napic = "on"\n')
        config.write_text(text)
        kept = place / "kept"
        person = Person("--engine", "bochs", "--config", config, "--keep", kept)
        try:
            person.wait_for("vm 3 triple ended: triple-fault")
            person.wait_for("counter 2 checksum 0x9920bd86")
            person.type(KEY + "l")
            person.wait_for("restarts")
            person.type(KEY + "2")
            person.wait_for("console 2: loop")
            person.type(KEY + "k")
            person.wait_for("vm 2 loop ended")
            person.type(KEY + "1")
            person.wait_for("console 1: neighbour")
            person.wait_for("checksum")
            person.type(KEY + "k")
            person.wait_for("vm 1 neighbour ended")
            person.end()
        finally:
            person.close()
        log = (kept / "host.log").read_text(errors="replace")
    assert log.count("all its memory is back") >= 3 and "memory is missing" not in log, log[-3000:]


def long_test_a_million_events():
    """A new seed each time; a failure names it."""
    survived = 0
    while survived < 1000000:
        seeds = random.sample(range(1, WORD), 8)
        survived += _hostile(seeds[:5], seeds[5:], 12000, 10, 1500)
    print(f"     {survived} events survived", flush=True)
