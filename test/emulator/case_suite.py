# SPDX-License-Identifier: MIT
"""The suite of checks in guests/suite: several VMs of it in one boot, each with other exits turned on,
and the same kernel on the emulated machine without a hypervisor. Whatever is checked in both must
come out the same."""
import pathlib
import re

from gatehouse import console, engine_bochs, exit_coverage, exit_log, iso, report
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
[[vm]]
name = "apic-page"
kernel = "{suite}"
memory = "16M"
apic = "on"
append = "only=nmi"
intercept = ["apic-page"]
[[vm]]
name = "tpr"
kernel = "{suite}"
memory = "16M"
append = "only=control"
intercept = ["tpr"]
[[vm]]
name = "triple"
kernel = "{triple}"
memory = "16M"
[[vm]]
name = "bad-state"
kernel = "{suite}"
memory = "16M"
append = "only=interrupt"
intercept = ["bad-state"]
[[vm]]
name = "bad-msr"
kernel = "{suite}"
memory = "16M"
intercept = ["bad-msr"]
[[vm]]
name = "bad-nested"
kernel = "{suite}"
memory = "16M"
intercept = ["bad-nested"]
[[vm]]
name = "nmi"
kernel = "{suite}"
memory = "16M"
apic = "on"
append = "only=nmi"
"""
# What the usual processor does not offer.
TIGERLAKE = """
[[vm]]
name = "random"
kernel = "{suite}"
memory = "16M"
append = "only=instruction"
intercept = ["rdseed", "dirty"]
[[vm]]
name = "step"
kernel = "{suite}"
memory = "16M"
append = "only=vmx"
intercept = ["step"]
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


def _run(place, text, name, *options):
    """Runs the VMs of a configuration; the run and its log of exits."""
    config, log = place / f"{name}.toml", place / f"{name}.log"
    config.write_text(text.format(suite=guest("suite.elf"), legacy=guest("legacy.elf"),
                                  triple=guest("triple_fault.elf")))
    result = run("--engine", "bochs", "--config", config, "--exit-log", log, *options)
    return result, exit_log.read(log)


def _check_coverage(logs):
    """Each reason that the list calls exercised was, and no other."""
    found = {number for number, classes in exit_coverage.count(logs).items() if classes}
    claimed = {row.number for row in exit_coverage.reasons() if not row.bochs}
    assert claimed <= found, f"not exercised: {sorted(claimed - found)}"
    assert len(found) >= 50, len(found)
    assert all(row.fate != "impossible" for row in exit_coverage.reasons() if row.number in found)


def test_suite_in_virtual_machines_and_without():
    with folder() as place:
        result, log = _run(place, CONFIG, "usual")
        other, other_log = _run(place, TIGERLAKE, "other", "--cpu-model", "tigerlake")
    result.expect(1, "vm 9 bad-msr ended: entry-refused", "vm 8 bad-state ended: entry-refused",
                  "vm 10 bad-nested ended: unhandled-exit",
                  *(f"vm {number} {name} ended: test-exit, status 1" for number, name in
                    ((1, "plain"), (2, "intercepted"), (3, "legacy"), (4, "legacy-intercepted"),
                     (5, "apic-page"), (6, "tpr"), (11, "nmi"))))
    other.expect(1, "vm 1 random ended: test-exit, status 1", "vm 2 step ended: test-exit, status 1")
    plain = _results(without_escapes(result.output))
    intercepted = _results(_background(result.errors, "intercepted"))
    assert len(plain) > 350, len(plain)
    _compare(intercepted, plain)
    _check_coverage([log, other_log])
    _compare(intercepted, _results(_native(guest("suite.elf"))))
    legacy = _results(_native(guest("legacy.elf")))
    assert len(legacy) > 70, len(legacy)
    for name in ("legacy", "legacy-intercepted"):
        _compare(_results(_background(result.errors, name)), legacy)
