# SPDX-License-Identifier: MIT
"""What the replay of the kernel's events would see: logs of real runs, spoilt at random places."""
import random
import subprocess
import sys
import types

from gatehouse import event_log, paths
from support import folder, guest, run, seed

TRIALS = 5000


def _corrupt(path):
    """Thousands of corruptions of a log, each of which the replay refuses at the right event."""
    number = seed()
    result = subprocess.run([paths.BUILD / "test" / "replay" / "corrupt", path, str(TRIALS),
                             str(number)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, timeout=200, check=False)
    assert result.returncode == 0, f"seed {number}\n{result.stdout[-4000:]}"


def _changed(entries, kind, change):
    """A log in which change(words) has changed the last entry of that kind in its first half: one
    that no guest is entered after, if ring 3 was left."""
    wanted = f" {kind} "
    lines = enumerate(event_log.text(entries[:len(entries) // 2]))
    at = max(index for index, line in lines if wanted in line and "sys_vcpu_run" not in line)
    words = list(event_log.ENTRY.unpack(entries[at]))
    change(words)
    return [*entries[:at], event_log.ENTRY.pack(*words), *entries[at + 1:]]


def _replace(place, value):
    """A change of one word of an entry."""
    def change(words):
        words[place] = value(words[place])
    return change


# A word of an event that no other event stands and falls with, and what the replay has to say to it.
WRONG_WORDS = (
    ("exit_user", _replace(5, lambda _: 0x77), "a vector that the kernel gave out"),
    ("exit_user", _replace(5, lambda _: 8), "no double fault, no machine check"),
    ("exit_user", _replace(5, lambda _: 0x1FF), "there is such a system call"),
    ("exit_user", _replace(5, lambda _: 14), "a program that an exception ended does not run on"),
    ("hostin", _replace(5, lambda vcpu: vcpu + 8), "the vCPU whose guest was entered"),
)


def _check_wrong_words(place, entries):
    for kind, change, words in WRONG_WORDS:
        event_log.write(place / "changed", _changed(entries, kind, change))
        status, said = event_log.replay(place / "changed")
        assert status == 1 and words in said, (kind, words, said)


def test_corrupted_log_is_refused():
    with folder() as place:
        log = place / "log"
        run(guest("hello_multiboot.elf"), "--engine", "bochs", "--cpus", "2", "--event-log",
            log).expect(0, "events; scripts/replay checks them")
        names = {line.split()[6] for line in event_log.text(event_log.read(log))}
        assert {"own", "release", "spawn", "sleep", "wake", "post", "take", "run", "start_user",
                "exit_user", "hostout", "hostin", "send", "receive", "split", "revoke",
                "end"} <= names, names
        _corrupt(log)
        said = subprocess.run([paths.ROOT / "scripts" / "replay", log], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=200, check=False)
        assert said.returncode == 0 and "all allowed" in said.stdout, said.stdout + said.stderr
        _check_wrong_words(place, event_log.read(log))
        event_log.write(place / "cut", event_log.read(log)[:5000])
        status, words = event_log.replay(place / "cut")
        assert status == 0 and "has no end" in words and "5000 events, all" in words, words
        entries = event_log.read(log)
        event_log.write(log, entries[:1000] + entries[1001:])
        said = subprocess.run([paths.ROOT / "scripts" / "replay", log], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=200, check=False)
        assert said.returncode == 1 and "event 1001, CPU " in said.stdout, said.stdout
        assert "without gaps: the number is 1000 by the specification" in said.stdout, said.stdout


def test_noise_is_not_a_log():
    with folder() as place:
        for content in (b"", event_log.TITLE + b"x", random.randbytes(4800)):
            (place / "log").write_bytes(content)
            assert event_log.replay(place / "log")[0] == 2, content[:30]


# A process whose memory has what a kernel's has: PAGES pages of a ring, in no order, and pages that
# only look like them. It writes entries, the later ones of a few before the earlier ones, and waits
# for the reader where the kernel does.
WRITER = """
import mmap, random, struct, sys, time
PAGES, ENTRIES, TOTAL, END, MARK = 5, 64, 5000, int(sys.argv[1]), int(sys.argv[2])
memory = mmap.mmap(-1, 32 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
places = random.sample(range(4096, 31 << 20, 4096), PAGES)
def entry(order, kind=7):
    return struct.pack("<QIHHQQQ", order * 10, order % 7, order % 4, kind, order ** 3, ~order & 255, order)
def write(order):
    page = places[order // ENTRIES % PAGES]
    while struct.unpack_from("<I", memory, page + 12)[0] != order // ENTRIES // PAGES:
        time.sleep(0.001)
    at = page + 16 + order % ENTRIES * 48
    memory[at + 8:at + 48] = entry(order, END if order == TOTAL - 1 else 7)
    memory[at:at + 8] = struct.pack("<Q", order)
write(0)
memory[8:16] = struct.pack("<Q", MARK)
for decoy in -4096, -8192:
    memory[decoy:decoy + 24] = struct.pack("<Q", MARK) + random.randbytes(16)
for index, place in enumerate(places):
    memory[place:place + 12] = struct.pack("<QHH", MARK, index, PAGES)
open(sys.argv[3], "w").write("awake")
for first in range(1, TOTAL, 7):
    orders = list(range(first, min(first + 7, TOTAL)))
    random.shuffle(orders)
    for order in sorted(orders, key=lambda order: order // ENTRIES):
        write(order)
while struct.unpack_from("<I", memory, places[(TOTAL - 1) // ENTRIES % PAGES] + 12)[0] != (
        TOTAL - 1) // ENTRIES // PAGES + 1:
    time.sleep(0.001)
"""


def test_log_is_taken_from_memory():
    """The reader takes each entry once and in order, however they come, and the writer can end."""
    with folder() as place:
        command = [sys.executable, "-c", WRITER, str(event_log.kinds().index("end")),
                   str(int.from_bytes(event_log.MARK, "little")), str(place / "host.log")]
        (place / "host.log").touch()
        with subprocess.Popen(command) as process:
            machine = types.SimpleNamespace(process=process, folder=place)
            with event_log.taken(machine, place / "log") as reader:
                assert process.wait(60) == 0
        entries = event_log.read(place / "log")
        assert reader.ended and len(entries) == 5000, len(entries)
        for order, packed in enumerate(entries):
            words = event_log.ENTRY.unpack(packed)
            assert (words[0], words[1], words[-1]) == (order, order * 10, order), (order, words)
