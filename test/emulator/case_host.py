# SPDX-License-Identifier: MIT
"""Computers that lack something: packages, privilege, network. PATH gets stand-ins for the
programs that would say so."""
from support import folder, run, shims

HOST_LACKS = 68
BOCHS_MISSING = r"""
for name; do
    case $name in
    -*|*'{'*) ;;
    bochs) ;;
    *) echo "$name installed" ;;
    esac
done"""


def test_not_root_and_no_sudo():
    with folder() as place:
        log = place / "apt.log"
        environment = shims(place / "bin", dpkg_query=BOCHS_MISSING, id="echo 1000",
                            sudo="exit 1", apt_get=f"echo $* >> {log}; exit 1")
        result = run("--engine", "bochs", environment=environment, limit=30)
        result.expect(HOST_LACKS, "neither root nor", "apt-get install -y", "bochs")
        assert not log.exists(), "apt-get was called without privilege"


def test_root_without_network():
    with folder() as place:
        environment = shims(place / "bin", dpkg_query=BOCHS_MISSING, id="echo 0",
                            apt_get="echo 'E: Temporary failure resolving deb.debian.org'; exit 100")
        result = run("--engine", "bochs", environment=environment, limit=30)
        result.expect(HOST_LACKS, "no network", "Temporary failure", "apt-get install -y", "bochs")


def test_sudo_installs():
    with folder() as place:
        log = place / "apt.log"
        done = place / "done"
        query = f"test -e {done} && echo bochs installed" + BOCHS_MISSING
        environment = shims(
            place / "bin", dpkg_query=query, id="echo 1000",
            sudo='[ "$2" = true ] && exit 0; shift; exec "$@"',
            apt_get=f"echo $* >> {log}; touch {done}; exit 0", ninja="echo stop here; exit 1")
        result = run("/bin/true", "--engine", "bochs", environment=environment, limit=120)
        result.expect(HOST_LACKS, "installing bochs", "stop here")
        assert "install -y --no-install-recommends bochs" in log.read_text()


def test_kernel_package_without_network():
    with folder() as place:
        environment = shims(place / "bin",
                            apt_get="echo 'E: Temporary failure resolving deb.debian.org'; exit 100")
        environment["GATEHOUSE_BUILD"] = str(place / "build")
        result = run(environment=environment, limit=60)
        result.expect(HOST_LACKS, "linux-image-cloud-amd64", "cannot be fetched", "network",
                      "scripts/run KERNEL")


def test_not_debian():
    with folder() as place:
        (place / "bin").mkdir()
        for name in ("python3", "env", "id"):
            (place / "bin" / name).symlink_to(f"/usr/bin/{name}")
        result = run(environment={"PATH": str(place / "bin")}, limit=30)
        result.expect(HOST_LACKS, "dpkg-query", "Debian 12", "xorriso")
