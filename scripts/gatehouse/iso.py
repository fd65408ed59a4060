# SPDX-License-Identifier: MIT
"""Bootable images: GRUB with its menu file and the modules, for BIOS and UEFI alike."""
import pathlib
import shutil
import subprocess

from gatehouse import report

# All that the menu file needs, on both platforms.
_GRUB_MODULES = ("normal multiboot multiboot2 linux iso9660 fat search search_fs_file configfile boot echo "
                 "test iorw all_video part_acorn part_amiga part_apple part_bsd part_dfly part_dvh "
                 "part_gpt part_msdos part_plan part_sun part_sunpc")


def write(target, files, menu, scratch):
    """Writes an ISO image. `files`: {name in /boot: path or bytes}; `menu`: lines of grub.cfg."""
    tree = pathlib.Path(scratch) / "iso"
    boot = tree / "boot"
    (boot / "grub").mkdir(parents=True)
    for name, content in files.items():
        if isinstance(content, bytes):
            (boot / name).write_bytes(content)
        else:
            shutil.copyfile(content, boot / name)
    (boot / "grub" / "grub.cfg").write_text("\n".join(menu) + "\n", encoding="utf-8")
    command = ["grub-mkrescue", "-o", str(target), "--fonts=", "--locales=", "--themes=",
               f"--install-modules={_GRUB_MODULES}", "--compress=no", str(tree)]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    shutil.rmtree(tree)
    if result.returncode or not pathlib.Path(target).exists():
        raise report.Failure(report.HOST_LACKS, "grub-mkrescue failed:\n"
                             + "\n".join(result.stdout.splitlines()[-10:]))


def quoted(text):
    """A word of the menu file that GRUB takes as it stands."""
    return "'" + text.replace("'", "'\\''") + "'"
