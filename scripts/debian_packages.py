# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of Debian's: downloaded, unpacked into a cache, never installed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workplace import NotAvailable, cached, run

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # and what Debian calls them


def cache_folder() -> Path:
    """Where downloads are kept from one run to the next."""
    return cached("qemu-ram-device")


@dataclass(frozen=True)
class Apt:
    """apt as the machine has it, or with further options."""

    options: tuple[str, ...] = ()

    def update(self) -> None:
        """Fetch the lists of packages; apt checks the signatures."""
        _run(["apt-get", *self.options, "update"], Path.cwd())

    def version(self, package: str) -> str:
        """The version of a package that would be installed at present."""
        shown = _run(["apt-cache", *self.options, "show", "--no-all-versions", package], Path.cwd())
        return next(line.partition(" ")[2] for line in shown.splitlines() if line.startswith("Version: "))

    def dependency(self, package: str, pattern: str) -> str:
        """The package of the pattern that a package depends on at present."""
        return self.dependencies(package, pattern)[0]

    def dependencies(self, package: str, pattern: str) -> list[str]:
        """The packages of the pattern that a package depends on at present, one at least."""
        depends = self.depends([package])
        found: list[str] = re.findall(rf"Depends: ({pattern})$", depends, re.MULTILINE)
        if not found:
            wanted = f"{pattern} among what {package} depends on"
            raise NotAvailable(f"apt-cache names no {wanted}; try apt-get update\n{depends}")
        return found

    def depends(self, packages: Sequence[str]) -> str:
        """What apt-cache says of what packages depend on."""
        return _run(["apt-cache", *self.options, "depends", "--important", *packages], Path.cwd())

    def unpack(self, package: str, folder: Path) -> None:
        """Download a package, and add what it holds to the folder."""
        self.unpack_all([package], folder)

    def unpack_all(self, packages: Sequence[str], folder: Path) -> None:
        """Download packages, and add what they hold to the folder."""
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="download-") as download:
            _run(["apt-get", *self.options, "download", *packages], Path(download))
            _add_contents(Path(download), folder)

    def unpack_with_dependencies(self, package: str, folder: Path) -> None:
        """Download a package and what it depends on and isn't installed, and add what they hold to the folder."""
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="download-") as download:
            (Path(download) / "partial").mkdir()
            _run(["apt-get", *self.options, "-o", f"Dir::Cache::Archives={download}", "-o", "Debug::NoLocking=1",
                  "install", "--download-only", "--no-install-recommends", "--no-upgrade", "--yes", package],
                 Path(download))  # fmt: skip
            _add_contents(Path(download), folder)


MACHINES_OWN = Apt()


@contextmanager
def apt_of(architecture: str, sources: str = "") -> Iterator[Apt]:
    """apt for packages of that architecture, whatever the machine's is.

    It asks the machine's own sources, or those that `sources` lists in deb822 style, and changes nothing of the
    machine's apt: lists and state are its own. No package counts as installed.
    """
    with tempfile.TemporaryDirectory(prefix="apt-") as scratch:
        state = Path(scratch)
        for name in ("lists/partial", "cache/archives/partial", "parts"):
            (state / name).mkdir(parents=True)
        (state / "status").touch()
        private = {
            "APT::Architecture": architecture, "APT::Architectures::": architecture, "Acquire::Languages": "none",
            "Dir::State::status": state / "status", "Dir::State::Lists": state / "lists", "Dir::Cache": state / "cache",
        }  # fmt: skip
        if sources:
            (state / "parts" / "wanted.sources").write_text(sources)
            private |= {"Dir::Etc::SourceList": "/dev/null", "Dir::Etc::SourceParts": state / "parts"}
        if os.geteuid() == 0:  # else apt's own user, who may not write here, would be the one to download
            private["APT::Sandbox::User"] = "root"
        apt = Apt(tuple(word for name, value in private.items() for word in ("-o", f"{name}={value}")))
        apt.update()
        yield apt


def unpacked(package: str, folder: Path) -> Path:
    """The folder, with what the package holds; it is downloaded when the folder isn't there."""
    return filled(folder, lambda unfinished: MACHINES_OWN.unpack(package, unfinished))


def filled(folder: Path, fill: Callable[[Path], None]) -> Path:
    """The folder; when it isn't there it is made and filled, wholly or not at all."""
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="unfinished-") as scratch:
        unfinished = Path(scratch) / "unpacked"
        unfinished.mkdir()
        fill(unfinished)
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.exists():  # else another run was quicker, and its copy serves
                raise
    return folder


def _add_contents(download: Path, folder: Path) -> None:
    """Add what the packages hold that were downloaded. What is there and doesn't unpack is broken, not missing."""
    for archive in sorted(download.glob("*.deb")):
        run(["dpkg", "-x", str(archive), str(folder)], download)


def _run(command: list[str], folder: Path) -> str:
    try:
        # What apt says is read, and it has more languages than one.
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False,
                              env=os.environ | {"LC_ALL": "C"})  # fmt: skip
    except OSError as error:
        raise NotAvailable(f"{command[0]} doesn't start: {error.strerror}") from None
    if done.returncode:
        raise NotAvailable(f"{shlex.join(command)} failed with status {done.returncode}:\n{done.stderr}")
    return done.stdout
