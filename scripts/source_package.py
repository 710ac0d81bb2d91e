# SPDX-License-Identifier: GPL-2.0-or-later
"""Make a source package of QEMU: Debian's, with the series among its patches, and Rust turned on.

packages/debian has what is added to Debian's own debian/: a few lines, a file of make rules, and patches which only a
build by Debian's rules needs. The crates are a component of the source, so that a build downloads nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import debian_source
import quilt
from commits import BRANCH
from crates import wraps
from source import declared
from workplace import REPOSITORY, Refused, Workplace, arguments, git, run, run_script, say, workplace

ADDED = REPOSITORY / "packages" / "debian"
CRATES = "ram-device-crates"
SUFFIX = "+ramdev2"  # after Debian's version: above it, and below Debian's next
MAINTAINER = "RAM device series <series@invalid>"
LATER = "Debian's package has changed since the series was last checked on it (scripts/bases.toml): look at {what}"


@dataclass(frozen=True)
class Sources:
    """Debian's source package: unpacked, and the folder where its files lie."""

    dsc: Path
    version: str

    @property
    def folder(self) -> Path:
        """Where dpkg-source looks for the original tarballs."""
        return self.dsc.parent

    @property
    def upstream(self) -> str:
        """The version that the original tarball has in its name."""
        return re.sub(r"^\d+:", "", self.version).rpartition("-")[0]


def main() -> None:
    """Make it for the base that the command line names."""
    place = workplace(arguments(__doc__).parse_args())
    with place.locked():
        say(f"the source package is {make(place)}")


def folder(place: Workplace) -> Path:
    """Where the source package of a workplace is."""
    return place.root / "source-package"


def make(place: Workplace) -> Path:
    """Make the source package anew; the path of its .dsc."""
    if not (ADDED / f"hooks-{place.base}.patch").is_file():
        raise Refused(f"asked for packages of BASE={place.base}; there are such of BASE=10.0 alone, Debian 13's QEMU")
    partial = place.scratch("source-package")
    theirs = debian(place, partial)
    tree = partial / "qemu"
    say(f"adding the series to Debian's qemu {theirs.version}")
    run(["dpkg-source", "--extract", str(theirs.dsc), str(tree)])
    pack_crates(place, theirs, tree)
    change_debian(place, theirs, tree)
    try:
        run(["dpkg-source", "--before-build", tree.name], cwd=partial)
    except Refused as failure:
        raise Refused(f"{failure}\n  {LATER.format(what='the patch that this names')}") from failure
    run(["dpkg-source", "--build", tree.name], cwd=partial)
    shutil.rmtree(tree)
    for leftover in (theirs.dsc, *partial.glob(f"{theirs.dsc.stem}.debian.tar.*")):
        leftover.unlink()
    shutil.rmtree(folder(place), ignore_errors=True)
    partial.rename(folder(place))
    made, = folder(place).glob("*.dsc")
    return made


def debian(place: Workplace, into: Path) -> Sources:
    """Debian's source package, downloaded into a new folder; it must be of the version that the series' tree is of."""
    suite, scratch = declared(place.base)["suite"], place.scratch("download")
    dsc, version = debian_source.download_package(place.base, suite, scratch)
    dsc.parent.rename(into)
    shutil.rmtree(scratch)
    found = Sources(into / dsc.name, version)
    imported = json.loads((place.root / "source.stamp").read_text())["version"]
    if found.upstream.partition("+")[0] != imported:
        raise Refused(f"Debian {suite} has QEMU {found.upstream} now, and what is built here is {imported}.\n"
                      "  Take Debian's first: make newest; with a QEMU_SRC= of your own there are no packages")
    return found


def pack_crates(place: Workplace, theirs: Sources, tree: Path) -> None:
    """Add the crates, with what QEMU lays over them, as a further original tarball, and unpack it."""
    needed = [wrap for wrap in wraps(place.tree) if wrap.is_crate]
    date = int(git("log", "-1", "--format=%at", BRANCH, GIT_DIR=place.repository))

    def settled(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if Path(member.name).name == ".ram-device-overlay":
            return None
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mtime, member.mode = date, 0o755 if member.isdir() else 0o644
        return member

    archive = theirs.folder / f"qemu_{theirs.upstream}.orig-{CRATES}.tar.xz"
    with tarfile.open(archive, "w:xz") as out:
        for wrap in needed:
            out.add(wrap.unpacked, f"{CRATES}/{wrap.directory}", filter=settled)
    run(["tar", "-C", str(tree), "-xf", str(archive)])


def change_debian(place: Workplace, theirs: Sources, tree: Path) -> None:
    """Add what packages/debian has and the series to the unpacked package's debian/."""
    hooks = ADDED / f"hooks-{place.base}.patch"
    try:
        git("apply", hooks, cwd=tree, GIT_CEILING_DIRECTORIES=tree.parent)
    except Refused as failure:
        raise Refused(f"{failure}\n  {LATER.format(what=hooks)}") from failure
    patches = tree / "debian" / "patches"
    shutil.copy(ADDED / "ram-device.mk", tree / "debian")
    added = quilt.write(place, patches / quilt.FOLDER)
    for patch in sorted((ADDED / "patches").glob("*.patch")):
        shutil.copy(patch, patches / quilt.FOLDER)
        added.append(f"{quilt.FOLDER}/{patch.name}")
    with (patches / "series").open("a", encoding="utf-8") as series:
        series.writelines(f"{name}\n" for name in added)
    with (tree / "debian" / "copyright").open("a", encoding="utf-8") as notice:
        notice.write("\n" + (ADDED / "copyright").read_text(encoding="utf-8"))
    record(place, theirs, tree / "debian" / "changelog", len(added))
    run(["make", "--silent", "-f", "debian/rules", "debian/control"], cwd=tree,
        env=os.environ | {"DEB_VENDOR": "Debian"})


def record(place: Workplace, theirs: Sources, changelog: Path, patches: int) -> None:
    """Put the entry of the new version on top of the changelog."""
    suite = declared(place.base)["suite"]
    name, address = (os.environ.get(f"DEB{what}", "") for what in ("FULLNAME", "EMAIL"))
    who = f"{name} <{address}>" if name and address else MAINTAINER
    date = git("log", "-1", "--format=%aD", BRANCH, GIT_DIR=place.repository).strip()
    entry = (f"qemu ({theirs.version}{SUFFIX}) {suite}; urgency=medium\n\n"
             f"  * The RAM device series, {patches} patches in debian/patches/{quilt.FOLDER}: DMA\n"
             "    by emulated devices into the BARs of passed-through PCI devices.\n"
             "  * Build with Rust, which it needs.\n\n"
             f" -- {who}  {date}\n\n")
    changelog.write_text(entry + changelog.read_text(encoding="utf-8"), encoding="utf-8")


if __name__ == "__main__":
    run_script(main)
