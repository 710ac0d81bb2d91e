# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's newest QEMU, to compare with: unpacked with all its libraries, never installed."""

from __future__ import annotations

import platform
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import debian_source
from machines import debian
from machines.error import NotAvailable

# The first version that has upstream's fix; what leads to it is counted from 50 on.
FIXED_FROM = (11, 1, 50)
PACKAGES = {"aarch64": "qemu-system-arm", "x86_64": "qemu-system-x86"}


@dataclass(frozen=True)
class NewestQemu:
    """The packages' contents, all in one folder as if they were installed there."""

    root: Path
    program: str

    def command(self, arguments: Sequence[str]) -> list[str]:
        """How to run it: with the C library that it was linked with, not with this machine's."""
        (loader,) = self.root.glob("usr/lib*/ld-linux-*.so.*")
        (libraries,) = {library.parent for library in self.root.glob("usr/lib/*/libc.so.6")}
        return [str(loader), "--library-path", str(libraries), str(self.root / "usr/bin" / self.program),
                "-L", str(self.root / "usr/share/qemu"), *arguments]  # fmt: skip

    def script(self, folder: Path) -> Path:
        """The same as one program, which finds its modules, too."""
        (modules,) = self.root.glob("usr/lib/*/qemu")
        path = folder / self.program
        command = shlex.join(self.command([]))
        path.write_text(f'#!/bin/sh\nQEMU_MODULE_DIR={shlex.quote(str(modules))} exec {command} "$@"\n')
        path.chmod(0o755)
        return path

    @property
    def version(self) -> str:
        """For instance 11.1.3."""
        printed = subprocess.run(self.command(["--version"]), text=True, capture_output=True, check=True).stdout
        return printed.split()[3]


def has_upstreams_fix(version: str) -> bool:
    """Whether a QEMU of this version gives emulated devices pointers into passed-through BARs, as 11.2 does."""
    return tuple(map(int, re.findall(r"\d+", version)[:3])) >= FIXED_FROM


def newest_qemu(architecture: str = "aarch64") -> NewestQemu:
    """The emulator from the cache; NotAvailable says why it can't be had."""
    package = PACKAGES[architecture]
    folder = debian.filled(debian.cache_folder() / f"newest-{package}", lambda unfinished: _download(package, unfinished))
    return NewestQemu(folder, f"qemu-system-{architecture}")


def _download(package: str, folder: Path) -> None:
    mirrors = debian_source.mirrors() if debian_source.is_debian() else []
    architecture = debian.ARCHITECTURES.get(platform.machine())
    if not mirrors or not architecture:
        raise NotAvailable(f"no {package} of Debian's for this machine: it has no apt source of Debian")
    with debian.apt_of(architecture, debian_source.stanzas("deb", debian_source.UNSTABLE, mirrors)) as apt:
        apt.unpack_with_dependencies(package, folder)
