# SPDX-License-Identifier: GPL-2.0-or-later
"""What is installed in the chroot, by dpkg; and apt, which changes it. It runs in there."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from machines.error import MachineError
from packages import hardening
from packages.features import Features

OURS_MARK = "+ramdev"
DOCUMENTS = Path(__file__).resolve().parents[2] / "docs"
# A page, and words before the commands.
INSTALLING = ("packages.md", "\n## Install them")
GOING_BACK = ("libvirt.md", "\n**The way back**")
SUITE = "trixie"
SOURCE = Path("/etc/apt/sources.list.d/qemu-ram-device.list")
ASSUME_YES = Path("/etc/apt/apt.conf.d/assume-yes")
# Where a package's version is written into what it depends on, Debian's and ours are the same.
VERSION = re.compile(r"\+ramdev\d+")
DEPENDENCIES = ("Depends", "Pre-Depends", "Recommends", "Suggests", "Breaks", "Conflicts", "Replaces", "Provides")


def apt(*words: str) -> str:
    """Run apt-get."""
    return command("apt-get", "--yes", "-qq", "-o", "Dpkg::Use-Pty=0", *words)


def command(*words: str) -> str:
    """What a program prints; MachineError if it fails."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MachineError(f"{' '.join(words)} failed with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def versions() -> dict[str, str]:
    """The packages of QEMU's source package, and their versions."""
    form = "${source:Package} ${Package} ${Version} ${db:Status-Status}\n"
    lines = (line.split() for line in command("dpkg-query", "-W", "-f", form).splitlines())
    return {name: version for source, name, version, status in lines if source == "qemu" and status == "installed"}


def versions_of(archives: Iterable[Path]) -> dict[str, str]:
    """The packages in the archives, and their versions."""
    form = "--showformat=${Package} ${Version}"
    return dict(command("dpkg-deb", "--show", form, str(archive)).split() for archive in archives)


def sorts_between(version: str, debians: str) -> bool:
    """Whether that version isn't older than Debian's, and older than the next one that Debian may make."""
    nexts = re.sub(r"u(\d+)$", lambda update: f"u{int(update[1]) + 1}", debians)
    done = [subprocess.run(["dpkg", "--compare-versions", version, *relation], check=False)
            for relation in (("ge", debians), ("lt", nexts))]  # fmt: skip
    return all(process.returncode == 0 for process in done)


def features(packages: Sequence[str]) -> Features:
    """Their files and dependencies."""
    found: Features = {}
    for package in packages:
        found[f"files of {package}"] = set(command("dpkg", "-L", package).splitlines())
        fields = ((field, command("dpkg-query", "-W", "-f", f"${{{field}}}", package)) for field in DEPENDENCIES)
        found[f"dependencies of {package}"] = {
            f"{field}: {VERSION.sub('', one.strip())}" for field, value in fields for one in value.split(",") if one
        }
    return found


def programs(packages: Sequence[str]) -> Features:
    """How their programs and modules were built."""
    names = (Path(name) for package in packages for name in command("dpkg", "-L", package).splitlines())
    files = (path for path in names if path.is_file() and not path.is_symlink())
    return {"programs and modules": {f"{path}: {word}" for path in files for word in hardening.of(path)}}


def contents(packages: Sequence[str]) -> dict[str, str]:
    """The checksum of each of their files, what a link leads to, and what dpkg says of the package."""
    found: dict[str, str] = {}
    for package in packages:
        found[package] = command("dpkg-query", "-s", package)
        for name in command("dpkg", "-L", package).splitlines():
            path = Path(name)
            if path.is_symlink():
                found[name] = str(path.readlink())
            elif path.is_file():
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                found[name] = "folder" if path.is_dir() else "missing"
    return found


def documented(page: str, before: str) -> str:
    """The commands in the block of that page of docs/ that follows the words."""
    _, found, after = (DOCUMENTS / page).read_text().partition(before)
    block = re.search(r"(?:^    .*\n)+", after, re.MULTILINE)
    if not found or not block:
        raise MachineError(f"docs/{page} has no commands after {before!r}")
    return block[0]


def install(folder: Path) -> None:
    """Install the packages in the folder as documented."""
    _do(documented(*INSTALLING).replace("FOLDER", str(folder)))


def go_back() -> None:
    """Go back to Debian's packages as documented."""
    SOURCE.unlink()
    apt("update")
    offers = command("apt-cache", "madison", *versions())
    commands = documented(*GOING_BACK)
    _do(commands if f" {SUITE}/main " in offers else commands.replace(f"/{SUITE}", f"/{SUITE}-security"))


def _do(commands: str) -> None:
    ASSUME_YES.write_text('APT::Get::Assume-Yes "true";\n')
    try:
        command("sh", "-e", "-c", commands)
    finally:
        ASSUME_YES.unlink()
