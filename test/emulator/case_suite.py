# SPDX-License-Identifier: MIT
"""The suite of checks in guests/suite: several VMs of it in one boot, each with other exits turned on,
and the same kernel on the emulated machine without a hypervisor. Whatever is checked in both must
come out the same."""
import pathlib
import re

from gatehouse import console, engine_bochs, iso, report
from support import folder, guest, run, without_escapes

CONFIG = """
[[vm]]
name = "plain"
kernel = "{suite}"
memory = "64M"
[[vm]]
name = "intercepted"
kernel = "{suite}"
memory = "64M"
apic = "on"
intercept = ["invlpg", "rdtsc", "cr3", "dr", "pause", "tables", "exceptions", "rdrand", "vmfunc"]
[[vm]]
name = "legacy"
kernel = "{legacy}"
memory = "64M"
[[vm]]
name = "legacy-intercepted"
kernel = "{legacy}"
memory = "64M"
intercept = ["cr3", "dr", "tables", "exceptions"]
"""
_LINE = re.compile(r"^(PASS|FAIL|SKIP) ([^:\n]*)(.*)$", re.MULTILINE)
_SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)


def _background(errors, name):
    """What a VM in the background printed, from the host's log lines."""
    return "\n".join(re.findall(rf"^gatehouse: \[{name}\]> (.*)$", errors, re.MULTILINE))


def _results(output):
    """{check: word} of a suite's output, whose summary must agree with its lines."""
    lines = _LINE.findall(output)
    words = [word for word, _, _ in lines]
    summary = _SUMMARY.search(output)
    assert summary, f"the suite did not come to its end\n{output[-2000:]}"
    assert [words.count(word) for word in ("PASS", "FAIL", "SKIP")] == [
        int(number) for number in summary.groups()], output[-2000:]
    failed = [f"{name}{rest}" for word, name, rest in lines if word == "FAIL"]
    assert not failed, "\n".join(failed)
    return {name: word for word, name, _ in lines}


def _native(kernel):
    """The output of a test kernel that GRUB boots on the emulated machine itself."""
    with folder() as place:
        image = place / "native.iso"
        iso.write(image, {"guest.elf": pathlib.Path(kernel)},
                  ["set timeout=0", "multiboot /boot/guest.elf native", "boot"], place)
        emulator = engine_bochs.Machine(place, image, 256)
        session = console.Session(emulator, 100, False, capture=True)
        try:
            assert session.run() != report.TIMEOUT, bytes(session.captured[-1000:])
        finally:
            emulator.stop()
    return without_escapes(bytes(session.captured))


def _compare(ours, native):
    """What both machines checked came out the same, and that is most of it."""
    common = [name for name in native if native[name] != "SKIP" and ours.get(name) != "SKIP"]
    assert len(common) > 0.9 * len(native), f"{len(common)} of {len(native)} checks are comparable"
    differing = [name for name in common if ours.get(name) != native[name]]
    assert not differing, differing


def test_suite_in_virtual_machines_and_without():
    with folder() as place:
        config = place / "suite.toml"
        config.write_text(CONFIG.format(suite=guest("suite.elf"), legacy=guest("legacy.elf")))
        result = run("--engine", "bochs", "--config", config)
    result.expect(1, "vm 1 plain ended: test-exit, status 1",
                  "vm 2 intercepted ended: test-exit, status 1",
                  "vm 3 legacy ended: test-exit, status 1",
                  "vm 4 legacy-intercepted ended: test-exit, status 1")
    plain = _results(without_escapes(result.output))
    intercepted = _results(_background(result.errors, "intercepted"))
    assert len(plain) > 350, len(plain)
    _compare(intercepted, plain)
    _compare(intercepted, _results(_native(guest("suite.elf"))))
    legacy = _results(_native(guest("legacy.elf")))
    assert len(legacy) > 70, len(legacy)
    for name in ("legacy", "legacy-intercepted"):
        _compare(_results(_background(result.errors, name)), legacy)
