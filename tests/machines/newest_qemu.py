# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's newest qemu-system-aarch64, to compare with: unpacked with all its libraries, never installed."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import debian_source
from machines import debian
from machines.error import MachineError

PACKAGE = "qemu-system-arm"
DEBIAN_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class NewestQemu:
    """The packages' contents, all in one folder as if they were installed there."""

    root: Path

    def command(self, arguments: Sequence[str]) -> list[str]:
        """How to run it: with the C library that it was linked with, not with this machine's."""
        (loader,) = self.root.glob("usr/lib*/ld-linux-*.so.*")
        (libraries,) = {library.parent for library in self.root.glob("usr/lib/*/libc.so.6")}
        program = self.root / "usr/bin/qemu-system-aarch64"
        return [str(loader), "--library-path", str(libraries), str(program),
                "-L", str(self.root / "usr/share/qemu"), *arguments]  # fmt: skip

    @property
    def version(self) -> str:
        """For instance 11.1.3."""
        printed = subprocess.run(self.command(["--version"]), text=True, capture_output=True, check=True).stdout
        return printed.split()[3]


def newest_qemu() -> NewestQemu:
    """The emulator from the cache; MachineError says why it can't be had."""
    return NewestQemu(debian.filled(debian.cache_folder() / f"newest-{PACKAGE}", _download))


def _download(folder: Path) -> None:
    mirrors = debian_source.mirrors() if debian_source.is_debian() else []
    architecture = DEBIAN_ARCHITECTURES.get(platform.machine())
    if not mirrors or not architecture:
        raise MachineError(f"no {PACKAGE} of Debian's for this machine: it has no apt source of Debian")
    with debian.apt_of(architecture, debian_source.stanzas("deb", debian_source.UNSTABLE, mirrors)) as apt:
        apt.unpack_with_dependencies(PACKAGE, folder)
