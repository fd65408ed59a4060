# SPDX-License-Identifier: MIT
"""What is refused before anything is installed, built or started."""
import os

from support import folder, run

USAGE, UNREADABLE = 64, 66


def _refused(*arguments, status, says):
    """Runs with an empty build folder, and checks that it stays empty."""
    with folder() as place:
        build = place / "build"
        result = run(*arguments, environment={"GATEHOUSE_BUILD": str(build)}, limit=20)
        result.expect(status, *says)
        assert not build.exists(), "something was built before the refusal"
        assert result.output == b"", "something was printed on standard output"


def test_unknown_option():
    _refused("--frobnicate", status=USAGE, says=["--frobnicate", "--help"])


def test_abbreviated_option():
    _refused("--mem", "64M", status=USAGE, says=["--mem"])


def test_two_kernels():
    _refused("/bin/true", "/bin/false", status=USAGE, says=["/bin/false"])


def test_missing_kernel():
    _refused("/nowhere/kernel", status=UNREADABLE, says=["/nowhere/kernel", "no such file"])


def test_folder_as_kernel():
    _refused("/tmp", status=UNREADABLE, says=["/tmp", "directory"])


def test_empty_kernel():
    with folder() as place:
        (place / "kernel").touch()
        _refused(place / "kernel", status=UNREADABLE, says=["it is empty"])


def test_missing_initrd():
    _refused("/bin/true", "--initrd", "/nowhere/initrd", status=UNREADABLE,
             says=["initrd /nowhere/initrd"])


def test_missing_module():
    _refused("/bin/true", "--module", "/nowhere/m=a b", status=UNREADABLE,
             says=["module /nowhere/m"])


def test_absurd_memory():
    for size in ("0", "12", "4095K", "2T", "99999999999G", "1.5G", "M", "-1G", "256Q"):
        _refused("/bin/true", f"--memory={size}", status=USAGE, says=["memory size"])


def test_more_memory_than_the_computer_has():
    _refused("/bin/true", "--memory", "1T", status=USAGE, says=["MiB available"])


def test_bad_numbers():
    for option, value in (("--timeout", "0"), ("--timeout", "soon"), ("--vcpus", "0"),
                          ("--vcpus", "x"), ("--cpus", "0"), ("--cpus", "65"), ("--engine", "vax"),
                          ("--type", "pe"), ("--console", "loud")):
        _refused("/bin/true", option, value, status=USAGE, says=[value])


def test_line_feed_in_append():
    _refused("/bin/true", "--append", "a\nvm b", status=USAGE, says=["control characters"])


def test_environment():
    _refused("/bin/true", "--env", "A", status=USAGE, says=["NAME=VALUE"])
    _refused("/bin/true", "--env", "A=1", "--module", "/bin/true", status=USAGE,
             says=["takes no others"])


def test_keep_folder_in_use():
    with folder() as place:
        (place / "file").touch()
        _refused("/bin/true", "--keep", place, status=USAGE, says=["not an empty folder"])


def test_iso_nowhere():
    _refused("/bin/true", "--iso", "/nowhere/x.iso", status=USAGE, says=["/nowhere"])


def test_config_with_kernel():
    with folder() as place:
        (place / "a.toml").write_text("[[vm]]\n")
        _refused("/bin/true", "--config", place / "a.toml", status=USAGE, says=["kernel"])


def test_config_missing():
    _refused("--config", "/nowhere.toml", status=UNREADABLE, says=["/nowhere.toml"])


BAD_TOML = [
    ("[[vm]]\nkernel = \n", 2, "nvalid"),
    ("[[vm]]\n\n[[vm\n", 3, "xpected"),
    ("[[vm]]\nkernel = '/bin/true'\n\n# x\nspeed = 3\n", 5, "unknown key speed"),
    ("[[vm]]\nname = 'a'\n[[vm]]\nname = 'b'\nmemory = '3X'\n", 5, "memory"),
    ("[[vm]]\nvcpus = 'two'\n", 2, "whole number"),
    ("[[vm]]\nname = 'a b'\n", 2, "name"),
    ("[[vm]]\nmodules = 'x'\n", 2, "list"),
    ("[[vm]]\nappend = 5\n", 2, "string"),
    ("[[vm]]\nreset = 'never'\n", 2, "reset"),
    ("[[vm]]\ntest-kernel = 1\n", 2, "true or false"),
    ("[[vm]]\nenv = ['x']\n", 2, "NAME=VALUE"),
    ("cpus = 3\n[[vm]]\n", 1, "unknown key or table cpus"),
    ("[vm]\nname = 'a'\n", 1, "[[vm]]"),
    ("# nothing\n", 1, "[[vm]]"),
    ("[[vm]]\nname = 'a'\nname = 'b'\n", 3, "overwrite"),
]


def test_config_errors_name_the_line():
    for text, line, words in BAD_TOML:
        with folder() as place:
            path = place / "guests.toml"
            path.write_text(text)
            _refused("--config", path, status=USAGE, says=[f"{path}:{line}", words])


def test_config_same_name_twice():
    with folder() as place:
        (place / "a.toml").write_text("[[vm]]\nname = 'a'\n[[vm]]\nname = 'a'\n")
        _refused("--config", place / "a.toml", status=USAGE, says=["two guests are called a"])


def test_config_not_text():
    with folder() as place:
        (place / "a.toml").write_bytes(b"\xff\xfe\0")
        _refused("--config", place / "a.toml", status=USAGE, says=["UTF-8"])


def test_unreadable_kernel():
    if os.geteuid() == 0:  # root may read everything; a dangling link stands in for it
        with folder() as place:
            (place / "kernel").symlink_to("/nowhere")
            _refused(place / "kernel", status=UNREADABLE, says=["no such file"])
        return
    with folder() as place:
        (place / "kernel").write_text("x")
        (place / "kernel").chmod(0)
        _refused(place / "kernel", status=UNREADABLE, says=["may not read it"])
