# SPDX-License-Identifier: MIT
"""Where the instructions of an exit go: traces one run of an operation of the exit benchmark and
counts the instructions of each function, the kernel's and the monitor's, in the order they run."""
import bisect
import re
import subprocess

from gatehouse import bench, build, machine, paths, report

# Runs of the operation before the traced one: by then nothing happens for the first time.
PASSES = 400
APIC_OPERATIONS = ("x2apic_eoi", "x2apic_self_ipi", "tsc_deadline", "halt_wake")
# Longer than any operation and the loop around it.
STEPS = 12000
_TRACED = re.compile(rb"\[0x[0-9a-f]+\] [0-9a-f]{4}:([0-9a-f]+) \(.*?\): ([^;]*);")


def _symbols(name):
    """The functions of a program as sorted lists of addresses and of names."""
    table = subprocess.run(["nm", "-n", str(paths.BUILD / name)], check=True,
                           capture_output=True, text=True).stdout
    rows = re.findall(r"^([0-9a-f]+) [tT] (\S+)$", table, re.MULTILINE)
    return [int(address, 16) for address, _ in rows], [symbol for _, symbol in rows]


def _operation_address(operation):
    addresses, names = _symbols("guests/bench_exits64.elf")
    symbol = "measure_" + operation
    if symbol not in names:
        known = sorted(name[8:] for name in names if name.startswith("measure_"))
        raise report.Failure(report.USAGE, f"the exit benchmark has no operation {operation}; it "
                             f"has {', '.join(known)}")
    return addresses[names.index(symbol)]


def _trace(operation):
    """What the emulator's debugger printed for the instructions of two runs of the operation."""
    address = _operation_address(operation)
    guest = bench.measuring_guest(operation in APIC_OPERATIONS)
    debugger = [f"lb {address:#x}"] + ["c"] * PASSES + ["bpd 1", "trace on", f"s {STEPS}"]
    with machine.run_folder(None) as folder:
        image = folder / "bench.iso"
        machine.write_image(image, [guest], folder, False, True)
        bench.run(folder, image, debugger)
        return address, _TRACED.findall((folder / "display.out").read_bytes())


class _Namer:
    """Names the function of an address: the kernel's in the upper half, the monitor's above the
    guest's image, which is loaded below it."""

    def __init__(self):
        self.kernel = _symbols(build.LOCATION["gatehouse.elf"])
        self.monitor = _symbols(build.LOCATION["monitor.elf"])

    def name(self, address):
        """Which program, and which function of it."""
        if address < self.monitor[0][0]:
            return "guest", ""
        side, table = (("kernel", self.kernel) if address >> 63 else ("monitor", self.monitor))
        at = bisect.bisect(table[0], address) - 1
        return side, table[1][at] if at >= 0 else "?"


def exit_profile(operation, instructions=False):
    """A table of the functions that one exit passes through and how many instructions each executes;
    with `instructions`, a listing of every one of them."""
    build.targets(["guests"])
    report.say(f"tracing {operation}")
    address, traced = _trace(operation)
    # Each stop at the breakpoint printed its instruction too: those lines come first, and alone.
    starts = [i for i, (rip, _) in enumerate(traced) if int(rip, 16) == address][PASSES:]
    if len(starts) < 2:
        raise report.Failure(report.HOST_LACKS, f"{operation} did not run twice within {STEPS} "
                             "instructions: the machine refuses it, or the trace is incomplete")
    namer, lines, sides, run = _Namer(), [], {}, None
    for rip, text in traced[starts[0]:starts[1]]:
        where = namer.name(int(rip, 16))
        sides[where[0]] = sides.get(where[0], 0) + 1
        if where != run:
            run = where
            lines.append([where, 0, []])
        lines[-1][1] += 1
        lines[-1][2].append(f"{'':30}{int(rip, 16) & 0xffffff:06x} {text.decode().strip()}")
    table = [f"one {operation}, in instructions, in the order they run"]
    for (side, function), count, listing in lines:
        table.append(f"  {count:5}  {side:8}{function}")
        table += listing if instructions and side != "guest" else []
    table.append("  in all: " + ", ".join(f"{side} {count}" for side, count in sides.items()))
    return "\n".join(table)
