# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's own builds of QEMU, to compare with: unpacked into a cache with all their libraries, never installed."""

from __future__ import annotations

import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import debian_packages
import debian_source
from workplace import NotAvailable

# The module of the qtest accelerator, which some of Debian's builds have in no package, and what does instead.
QTEST = "accel-qtest*.so"
STOPPED = """
for word; do
    shift
    case "$before $word" in
    "-accel qtest") set -- "$@" tcg -S ;;
    *) set -- "$@" "$word" ;;
    esac
    before=$word
done""".lstrip()
# The first version that has upstream's fix; what leads to it is counted from 50 on.
FIXED_FROM = (11, 1, 50)
FIRMWARE = ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu")
PACKAGES = {"aarch64": "qemu-system-arm", "x86_64": "qemu-system-x86"}


@dataclass(frozen=True)
class DebianQemu:
    """The packages' contents, all in one folder as if they were installed there."""

    root: Path
    program: str

    def command(self, arguments: Sequence[str]) -> list[str]:
        """How to run it: with the C library that it was linked with, not with this machine's."""
        # Debian 12 has its C library in the first, all else in the second.
        libraries = [*self.root.glob("lib/*-linux-*"), *self.root.glob("usr/lib/*-linux-*")]
        (loader,) = {loader for folder in libraries for loader in folder.glob("ld-linux-*.so.*")}
        data = [word for folder in FIRMWARE for word in ("-L", str(self.root / folder))]
        return [str(loader), "--library-path", ":".join(map(str, libraries)), str(self.root / "usr/bin" / self.program),
                *data, *arguments]  # fmt: skip

    def script(self, folder: Path) -> Path:
        """The same as one program, which finds its modules, and stops its CPU where it has no qtest accelerator."""
        (modules,) = self.root.glob("usr/lib/*-linux-*/qemu")
        path = folder / self.program
        start = f'QEMU_MODULE_DIR={shlex.quote(str(modules))} exec {shlex.join(self.command([]))} "$@"'
        path.write_text("\n".join(("#!/bin/sh", *([] if [*modules.glob(QTEST)] else [STOPPED]), start, "")))
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


def newest(architecture: str = "aarch64") -> DebianQemu:
    """The newest emulator from the cache; NotAvailable says why it can't be had."""
    return _cached("newest", architecture, debian_source.UNSTABLE)


def machines_own(architecture: str) -> DebianQemu:
    """The emulator of this machine's release, by its own sources; NotAvailable says why it can't be had."""
    return _cached("own", architecture, None)


def release(version: str, suite: str, architecture: str = "aarch64") -> DebianQemu:
    """The emulator of that version, which the suite must have; NotAvailable says why it can't be had."""
    found = _cached(version, architecture, suite)
    if (other := found.version) != version:
        shutil.rmtree(found.root)
        raise NotAvailable(f"Debian {suite}'s {PACKAGES[architecture]} is {other}, not {version}")
    return found


def _cached(name: str, architecture: str, suite: str | None) -> DebianQemu:
    package = PACKAGES[architecture]
    folder = debian_packages.cache_folder() / f"{name}-{package}"
    filled = debian_packages.filled(folder, lambda unfinished: _download(package, suite, unfinished))
    return DebianQemu(filled, f"qemu-system-{architecture}")


def _download(package: str, suite: str | None, folder: Path) -> None:
    mirrors = debian_source.debian_mirrors()
    architecture = debian_packages.ARCHITECTURES.get(platform.machine())
    if not mirrors or not architecture:
        raise NotAvailable(f"no {package} of Debian's for this machine: it has no apt source of Debian")
    with debian_packages.apt_of(architecture, debian_source.stanzas("deb", suite, mirrors) if suite else "") as apt:
        apt.unpack_with_dependencies(package, folder)
