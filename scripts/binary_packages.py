# SPDX-License-Identifier: GPL-2.0-or-later
"""Build Debian's packages of QEMU, with the series in them, by Debian's own rules in a chroot of Debian's suite.

Nothing is downloaded while they are built, and nothing of this machine but its CPU takes part. Without a wish of the
user's own (DEB_BUILD_OPTIONS, DEB_BUILD_PROFILES) what takes long and has little to do with the series is left out:
debug symbols, QEMU's tests, and the emulators of other processors than Arm's and x86.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import chroot
import source_package
from compiling import ccache_folder
from source import declared
from workplace import Refused, Workplace, arguments, run, run_script, say, workplace

OPTIONS = "nocheck noautodbgsym terse"
PROFILES = "nocheck pkg.qemu.arm-and-x86 pkg.qemu.omit-user pkg.qemu.omit-system-xen"
COMMANDS = """
dpkg --configure -a
apt-get -q -q update
apt-get -q -q build-dep --yes --arch-only -a {architecture} ./{dsc}
rm -rf qemu
dpkg-source --extract {dsc} qemu >/dev/null
"""


def main() -> None:
    """Build them for the host's architecture that the command line names."""
    parser = arguments(__doc__)
    parser.add_argument("--architecture", required=True, help="Debian's name of it, for instance arm64")
    options = parser.parse_args()
    place = workplace(options)
    if os.geteuid():
        raise Refused("packages are built in a chroot, which only root can make. `make deb-source` needs no root: it "
                      "makes the source package, for sbuild or a build farm")
    with place.locked():
        source_package.make(place)
        folder = build(place, options.architecture)
    packages = sorted(folder.glob("*.deb"))
    say(f"{len(packages)} packages, {sum(path.stat().st_size for path in packages) / 1e6:.0f} MB, are in {folder}")
    say("to install them over Debian's, and to go back: docs/packages.md")


def build(place: Workplace, architecture: str) -> Path:
    """Build the binary packages; the folder that they are in."""
    suite, mine = declared(place.base)["suite"], run(["dpkg", "--print-architecture"]).strip()
    architectures = [mine, *({architecture} - {mine})]
    root = place.root / f"chroot-{architecture}"
    cross = [f"crossbuild-essential-{architecture}"] if architecture != mine else []
    chroot.made(root, suite, architectures, ["ccache", "fakeroot", *cross])
    work, cache = place.root / f"build-packages-{architecture}", ccache_folder() / suite
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(source_package.folder(place), work)
    cache.mkdir(parents=True, exist_ok=True)
    inside = chroot.Chroot(root, {"/build": work, "/ccache": cache})
    settings = {"DEB_BUILD_OPTIONS": os.environ.get("DEB_BUILD_OPTIONS", f"parallel={os.cpu_count()} {OPTIONS}"),
                "DEB_BUILD_PROFILES": os.environ.get("DEB_BUILD_PROFILES", PROFILES + (" cross" if cross else "")),
                "CCACHE_DIR": "/ccache", "CCACHE_BASEDIR": "/build", "CCACHE_NOHASHDIR": "1"}
    dsc, = work.glob("*.dsc")
    say("getting what the build needs")
    done(inside.run(COMMANDS.format(architecture=architecture, dsc=dsc.name), "/build", settings), "getting it")
    say(f"building the packages for {architecture}")
    done(inside.run(f"dpkg-buildpackage --build=any --no-sign --host-arch={architecture}", "/build/qemu", settings,
                    network=False), "dpkg-buildpackage")  # fmt: skip
    made = place.root / f"packages-{architecture}"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()
    for path in sorted(work.glob("*.*deb")) + sorted(work.glob("*.changes")) + sorted(work.glob("*.buildinfo")):
        shutil.move(path, made)
    (made / "Packages").write_text(run(["dpkg-scanpackages", "."], cwd=made))  # apt takes the folder as a repository
    shutil.rmtree(work)
    return made


def done(status: int, what: str) -> None:
    """Refuse to go on if a command in the chroot failed."""
    if status:
        raise Refused(f"{what} in the chroot failed with status {status}; what it said is above")


if __name__ == "__main__":
    run_script(main)
