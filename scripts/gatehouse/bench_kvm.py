# SPDX-License-Identifier: MIT
"""The exit benchmark under Linux KVM in the same emulator: Debian's kernel on the bare emulated
machine, its own KVM modules, and guests/linux/kvm_bench.c as init with the same guest."""
import re

from gatehouse import bench, build, initramfs, iso, linux, machine, paths, report

# Without mitigations: KVM's best case.
APPEND = "console=ttyS0 quiet mitigations=off cryptomgr.notests nokaslr"
SECONDS = 900


def _archive():
    archive = initramfs.Archive()
    archive.add("dev", initramfs.DIRECTORY)
    archive.add("dev/console", 0o020600, device=(5, 1))
    archive.add("dev/kvm", 0o020600, device=(10, 232))
    for module in linux.kvm_modules():
        archive.add(module.name, initramfs.REGULAR, module.read_bytes())
    archive.add("bench.elf", initramfs.REGULAR,
                (paths.BUILD / "guests" / "bench_exits64.elf").read_bytes())
    archive.add("init", initramfs.REGULAR, (paths.BUILD / "guests" / "kvm_bench").read_bytes())
    return archive.bytes()


def exits():
    """Ticks of each operation under KVM, as {name: ticks}."""
    build.targets(["guests", "kvm_bench"])
    archive = _archive()
    report.say("measuring exits under Linux KVM in the same emulator; this takes a minute or two")
    with machine.run_folder(None) as folder:
        image = folder / "kvm.iso"
        menu = ["set timeout=0", "linux /boot/vmlinuz " + APPEND, "initrd /boot/initrd", "boot"]
        iso.write(image, {"vmlinuz": linux.kernel(), "initrd": archive}, menu, folder)
        session = bench.run(folder, image, seconds=SECONDS)[1]
    text = bytes(session.captured).decode(errors="replace")
    if "kvm_bench: done" not in text:
        raise report.Failure(report.HOST_PANIC, "Linux KVM did not finish the benchmark; the end of "
                             "its console:\n" + "\n".join(text.splitlines()[-10:]))
    return {name: int(ticks) for name, ticks in re.findall(r"^(\w+) (\d+)\r?$", text, re.MULTILINE)}
