# SPDX-License-Identifier: MIT
"""The benchmarks run, print their one object, and stay within what was promised."""
import json
import subprocess

from gatehouse import paths
from support import guest, run

BENCH = str(paths.ROOT / "scripts" / "bench")


def _bench(name):
    result = subprocess.run([BENCH, name, "--json"], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=900, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout)[name]


def test_boot_ratio():
    boot = _bench("boot")
    assert boot["guest_ticks"] > 0 and boot["ratio"] <= 1.05, boot


def test_exit_costs():
    exits = _bench("exits")
    assert exits["cpuid"] <= 120, exits
    assert exits["out_device"] <= 500, exits
    assert exits["x2apic_self_ipi"] <= 600, exits
    assert exits["halt_wake"] <= 1000, exits


def test_measured_exits_are_allowed():
    """The same guest, with the log of events that would be measured too."""
    run(guest("bench_exits.elf"), "--engine", "bochs", "--apic", "on").expect(0)


def test_kernel_costs():
    kernel = _bench("kernel")
    assert kernel["ticks"]["lock_unlock"] <= 12, kernel
    assert kernel["ticks"]["null_system_call"] <= 90, kernel
    assert kernel["ticks"]["thread_switch"] <= 120, kernel
    assert kernel["ticks"]["channel_round_trip"] <= 900, kernel
    assert kernel["ticks"]["channel_round_trip_events"] <= 1850, kernel
    assert kernel["ticks"].keys() >= {"thread_switch", "page_allocate_free"}
    assert "10" in kernel["curves"]["channel_send_receive"], kernel
