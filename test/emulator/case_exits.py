# SPDX-License-Identifier: MIT
"""--stats, --exit-log and scripts/exits: they agree with each other, and nothing is lost."""
import collections
import csv
import io
import json
import random
import re
import shutil
import subprocess

from gatehouse import exit_flows, exit_log, paths
from support import folder, guest, run

EXITS = str(paths.ROOT / "scripts" / "exits")


def _show(path, form):
    result = subprocess.run([EXITS, str(path), "--format", form], capture_output=True, text=True,
                            check=False)
    assert result.returncode == 0 and not result.stderr, result.stderr
    return result.stdout


def _check_slices(errors):
    slices = {name: int(ticks) for name, ticks in
              re.findall(r"^gatehouse:   ticks (\w+) +(\d+) +\d+\.\d %$", errors, re.MULTILINE)}
    elapsed = slices.pop("elapsed")
    assert sum(slices.values()) == elapsed, f"{slices} do not add up to {elapsed}"
    inside = int(re.search(r"ticks in guest +(\d+)", errors)[1])
    assert slices["guest"] == inside, "the kernel counts other ticks in the guest"
    return slices


def _check_table(errors, entries):
    rows = re.findall(r"^gatehouse:   +(\d+) [A-Za-z].*? +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+)$",
                      errors, re.MULTILINE)
    table = {int(row[0]): [int(word) for word in row[1:6]] for row in rows}
    for reason, (count, in_kernel, ticks, kernel, monitor) in table.items():
        logged = [entry for entry in entries if entry.reason == reason]
        assert count == len(logged), f"reason {reason}: {count} counted, {len(logged)} logged"
        assert in_kernel == sum(not entry.kind for entry in logged)
        assert kernel == sum(entry.kernel for entry in logged)
        assert monitor == sum(entry.monitor for entry in logged)
        assert ticks == kernel + monitor
    assert set(table) == {entry.reason for entry in entries}
    assert sum(row[0] for row in table.values()) == len(entries)


def _check_chain(entries, slices):
    """Exit, way back, guest, exit: no tick between the first exit and the last is missing."""
    for before, after in zip(entries, entries[1:]):
        assert after.tick == before.tick + before.outside + after.guest
    for name in ("halted", "monitor", "kernel"):
        assert sum(getattr(entry, name) for entry in entries) <= slices[name]


def _check_formats(path, count):
    assert len(_show(path, "text").splitlines()) == count
    assert len(list(csv.DictReader(io.StringIO(_show(path, "csv"))))) == count
    trace = json.loads(_show(path, "chrome"))["traceEvents"]
    kinds = collections.Counter(event["ph"] for event in trace)
    assert kinds == {"M": 2, "X": count}, kinds


def test_counts_and_ticks_agree():
    with folder() as place:
        path = place / "exits.log"
        result = run(guest("hello_multiboot.elf"), "--stats", "--exit-log", path, "--engine",
                     "bochs")
        result.expect(0)
        log = exit_log.read(path)
        assert log.complete and log.names == {1: "hello_multiboot.elf"} and log.tsc_hz > 0
        slices = _check_slices(result.errors)
        _check_table(result.errors, log.entries)
        _check_chain(log.entries, slices)
        _check_formats(path, len(log.entries))
        _check_page(path, log)
        typed = "".join(chr(entry.values[0]) for entry in log.entries
                        if entry.word >> 16 == 0x3F8 and not entry.word & 8)
        assert typed in result.output.decode(), "the log does not hold what the guest printed"


def _check_processors(errors, count):
    """Each processor's slices add up to its own time."""
    rows = re.findall(r"^gatehouse:   vCPU \d+((?: +\d+)+)$", errors, re.MULTILINE)
    assert len(rows) == count, errors[-3000:]
    for row in rows:
        *slices, elapsed = map(int, row.split())
        assert len(slices) == 6 and sum(slices) == elapsed > 0, row


def _check_flows(path, entries):
    """Every flow leads from a write to an IPI register to a later injection of its vector."""
    found = exit_flows.flows(entries)
    between = [flow for flow in found if entries[flow.sent].vcpu != entries[flow.taken].vcpu]
    assert len(between) >= 20, f"{len(between)} IPIs between processors"
    for flow in found:
        sent, taken = entries[flow.sent], entries[flow.taken]
        assert sent.reason == 32 and sent.values[1] & 0xFF == flow.vector == taken.event & 0xFF
        assert sent.tick < taken.tick + taken.outside
    trace = json.loads(_show(path, "chrome"))["traceEvents"]
    for phase in "stf":
        assert sum(event["ph"] == phase for event in trace) == len(found)
    ends = {(event["pid"], event["tid"], event["ts"]): event for event in trace
            if event["ph"] == "X" and event["cat"] == "injection"}
    assert all((event["pid"], event["tid"], event["ts"]) in ends for event in trace
               if event["ph"] == "f"), "an arrow ends where nothing is injected"


def _draw(page, place):
    """The page's document once a browser has run it, and a picture of it; None without browser."""
    if not shutil.which("chromium"):
        print("     no Chromium here, so the page is not drawn; scripts/test --browser installs it")
        return None
    command = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
               "--virtual-time-budget=5000", "--window-size=1240,2400",
               f"--user-data-dir={place / 'profile'}"]
    picture = place / "page.png"
    subprocess.run([*command, f"--screenshot={picture}", page.as_uri()], capture_output=True,
                   check=True, timeout=120)
    result = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, text=True,
                            check=True, timeout=120)
    assert picture.stat().st_size > 50_000, "the picture is empty"
    return result.stdout


def _check_page(path, log):
    """The page stands alone, holds what the log holds, and a browser draws it without an error."""
    page = path.with_name("page.html")
    subprocess.run([EXITS, "--html", str(page), str(path)], check=True)
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=|url\(|https?://|@import""", text), "it loads something"
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert data["count"] == len(log.entries) == sum(row["count"] for row in data["reasons"])
    assert sum(map(sum, data["time"]["counts"].values())) == data["count"]
    for row in data["reasons"]:
        group = [entry for entry in log.entries if entry.reason == row["reason"]]
        assert row["ticks"] == sum(entry.kernel + entry.monitor for entry in group)
        assert row["count"] == sum(count for _, count in row["costs"])
    if document := _draw(page, path.parent):
        assert 'data-drawn="yes"' in document, "the page's script failed"
        assert document.count("<rect") > 100 and document.count("<td") > 20


def test_several_processors():
    with folder() as place:
        path = place / "exits.log"
        result = run(guest("smp.elf"), "--vcpus", "3", "--stats", "--exit-log", path, "--engine",
                     "bochs")
        result.expect(0)
        log = exit_log.read(path)
        assert log.complete
        slices = _check_slices(result.errors)
        _check_table(result.errors, log.entries)
        _check_processors(result.errors, 3)
        _check_flows(path, log.entries)
        _check_page(path, log)
        for vcpu in range(3):
            entries = [entry for entry in log.entries if entry.vcpu == vcpu]
            assert len(entries) > 10
            _check_chain(entries, slices)


def test_time_limit_loses_nothing():
    with folder() as place:
        path = place / "exits.log"
        result = run(guest("counter.elf"), "--stats", "--exit-log", path, "--engine", "bochs",
                     "--timeout", "8")
        result.expect(124, "stopped at the console")
        log = exit_log.read(path)
        assert log.complete
        _check_chain(log.entries, _check_slices(result.errors))
        _check_table(result.errors, log.entries)


def test_text_is_for_grep():
    with folder() as place:
        path = place / "exits.log"
        run(guest("test_exit.elf"), "--exit-log", path, "--engine", "bochs")
        assert re.search(r"I/O instruction: out port=0xf4 ", _show(path, "text"))


def test_folder_as_log():
    with folder() as place:
        run("/bin/true", "--exit-log", place, limit=20).expect(64, "it is a folder")


def _pack(plain):
    """Groups of seven bytes to eight, as vmm/console/frame.c does."""
    plain += bytes(-len(plain) % 7)
    wire = bytearray()
    for at in range(0, len(plain), 7):
        group = plain[at:at + 7]
        wire += bytes(0x80 | byte for byte in group)
        wire.append(0x80 | sum((byte >> 7) << bit for bit, byte in enumerate(group)))
    return bytes(wire)


def _frame(number, sequence, entries, batch):
    payload = exit_log._BATCH.pack(20_000_000, 0, batch, len(entries))  # pylint: disable=W0212
    payload += b"".join(map(exit_log.packed, entries))
    head = (exit_log.MAGIC, len(payload), number, 0, sequence,
            exit_log.checksum(number, sequence, payload))
    return _pack(exit_log._HEADER.pack(*head) + payload)  # pylint: disable=W0212


def _entries(count, seed):
    chance = random.Random(seed)
    return [exit_log.Entry(1, 0, chance.getrandbits(60), chance.getrandbits(64),
                           chance.getrandbits(64), (chance.getrandbits(64), 1), 1, 2, 3, 4,
                           0x80000030, chance.randrange(70), False, 6, 0) for _ in range(count)]


def test_decoder_between_display_bytes():
    entries = _entries(300, 1)
    wire = b"".join(_frame(1, index, entries[50 * index:50 * index + 50], index)
                    for index in range(6))
    mixed = b"".join(bytes([byte]) + (b"\x1b[2;1HGRUB\r\n" if at % 97 == 0 else b"")
                     for at, byte in enumerate(wire))
    log = exit_log.decode(mixed)
    assert log.complete and len(log.entries) == 300
    assert [exit_log.packed(entry) for entry in log.entries] == sorted(
        map(exit_log.packed, entries), key=lambda data: int.from_bytes(data[:8], "little"))


def test_decoder_counts_damage():
    frames = [_frame(1, index, _entries(5, index), index) for index in range(10)]
    broken = bytearray(frames[3])
    broken[100] ^= 0x21
    log = exit_log.decode(b"".join([*frames[:3], bytes(broken), *frames[4:6], *frames[7:]]))
    assert len(log.entries) == 40 and log.damaged_frames == 1 and log.lost_frames == 2
    cut = exit_log.decode(b"".join(frames)[:-9])
    assert len(cut.entries) == 45 and cut.damaged_frames == 1 and not cut.complete


def test_decoder_of_noise():
    chance = random.Random(2)
    for _ in range(200):
        noise = bytearray(chance.randbytes(chance.randrange(400)))
        at = chance.randrange(len(noise) + 1)
        noise[at:at] = _frame(1, 0, _entries(1, 3), 0)[:chance.randrange(100)]
        exit_log.decode(bytes(noise))


def test_malformed_log():
    with folder() as place:
        path = place / "log"
        for content in (b"", b"text\n", exit_log.TITLE, exit_log.TITLE + b"{}\n",
                        exit_log.TITLE + b"[]\nx"):
            path.write_bytes(content)
            result = subprocess.run([EXITS, str(path)], capture_output=True, text=True,
                                    check=False)
            assert result.returncode == 66 and "not a log of exits" in result.stderr, result
