# SPDX-License-Identifier: MIT
"""What the replay of the kernel's events would see: logs of real runs, spoilt at random places."""
import random
import subprocess

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
        event_log.write(place / "cut", event_log.Log(event_log.read(log)[:5000]))
        status, words = event_log.replay(place / "cut")
        assert status == 0 and "has no end" in words and "5000 events, all" in words, words
        whole = log.read_bytes()
        start = whole.index(b"\n", len(event_log.TITLE)) + 1 + 1000 * event_log.ENTRY.size
        log.write_bytes(whole[:start] + whole[start + event_log.ENTRY.size:])
        said = subprocess.run([paths.ROOT / "scripts" / "replay", log], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=200, check=False)
        assert said.returncode == 1 and "event 1001, CPU " in said.stdout, said.stdout
        assert "without gaps: the number is 1000 by the specification" in said.stdout, said.stdout


def test_noise_is_not_a_log():
    with folder() as place:
        for content in (b"", b"gatehouse event log 1\n{}\nx", random.randbytes(5000)):
            (place / "log").write_bytes(content)
            assert event_log.replay(place / "log")[0] == 2, content[:30]


def test_decoder_of_noise():
    """Frames are found between other bytes, and damaged ones are not believed."""
    for _ in range(50):
        assert not event_log.decode(random.randbytes(20000)).entries
