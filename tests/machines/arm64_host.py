# SPDX-License-Identifier: GPL-2.0-or-later
"""An arm64 host, whatever the machine's own architecture is: an outer VM with Debian's kernel and programs for arm64.

The VM's emulator is Debian's newest, which lets unaligned accesses to Device memory fail as hardware does.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import debian_qemu
import debian_source
from machines import debian, outer_vm
from machines.error import NotAvailable
from machines.kernel_module import Builder
from machines.outer_vm import AARCH64, Kernel, Machine

ARCHITECTURE, COMPILER_PREFIX = "arm64", "aarch64-linux-gnu-"
STABLE, UNSTABLE = "trixie", debian_source.UNSTABLE
PAGES_4K, PAGES_16K = "arm64", "arm64-16k"
# Debian's own emulator brings the libraries that ours needs, too.
PROGRAMS = ("python3", "coreutils", "qemu-system-arm")
DEBIANS_EMULATOR = "/usr/bin/qemu-system-aarch64"
# modpost of kbuild is for the C library of its release, and is run with that: it needn't be this machine's.
MODPOST = """#!/bin/sh
here=${0%/*}
usr=$here/../../../..
exec "$usr"/lib*/ld-linux-*.so.* --library-path "$(echo "$usr"/lib/*-linux-gnu)" "$here/modpost.real-lsb-64" "$@"
"""


@dataclass(frozen=True)
class Release:
    """A kernel of Debian's for arm64, from that suite, and what modules for it are built with, in one folder."""

    suite: str
    root: Path

    @property
    def kernel(self) -> Kernel:
        return outer_vm.unpacked_kernel(self.root)

    @property
    def version(self) -> str:
        """For instance 6.12."""
        return ".".join(self.kernel.version.split(".")[:2])

    @property
    def busybox(self) -> Path:
        return self.root / "usr/bin/busybox"

    @property
    def module_builder(self) -> Builder:
        headers = f"linux-headers-{self.kernel.version}"
        return Builder(self.root / "usr" / "src" / headers, AARCH64.architecture, COMPILER_PREFIX, True)


def stanzas(suite: str) -> str:
    """apt's sources of that suite; NotAvailable says why there are none."""
    mirrors = debian_source.debian_mirrors()
    if not mirrors:
        raise NotAvailable(f"nothing of Debian {suite} for arm64: this machine has no apt source of Debian")
    return debian_source.stanzas("deb", suite, mirrors)


def release(suite: str = STABLE, flavour: str = PAGES_4K) -> Release:
    """The kernel from the cache; NotAvailable says why it can't be had."""
    folder = debian.cache_folder() / f"{suite}-kernel-{flavour}"
    return Release(suite, debian.filled(folder, partial(_download_kernel, suite, flavour)))


def machine(release: Release, folder: Path) -> Machine:
    """The outer VM's machine; its emulator is made one program in the folder."""
    usr = debian.filled(debian.cache_folder() / "arm64-programs", _download_programs) / "usr"
    emulator = str(debian_qemu.newest().script(folder))
    return replace(AARCH64, emulator=emulator, busybox=str(release.busybox), python="/usr/bin/python3", usr=usr)


def _download_programs(folder: Path) -> None:
    with debian.apt_of(ARCHITECTURE, stanzas(STABLE)) as apt:
        for package in PROGRAMS:
            apt.unpack_with_dependencies(package, folder)
    # An emulator that was linked on Debian 12 asks for it by the name that it had there.
    (library,) = (folder / "usr/lib").glob("*/libaio.so.1t64")
    library.with_name("libaio.so.1").symlink_to(library.name)


def _download_kernel(suite: str, flavour: str, folder: Path) -> None:
    with debian.apt_of(ARCHITECTURE, stanzas(suite)) as apt:
        image = apt.dependency(f"linux-image-{flavour}", r"linux-image-\d\S+")
        version = image.removeprefix("linux-image-")
        headers = f"linux-headers-{version}"
        kbuild = apt.dependency(headers, r"linux-kbuild-\S+")
        # Newer kernels are divided into several packages.
        parts = [package for package in apt.dependencies(image, r"linux-\S+") if package.endswith(f"-{version}")]
        common = apt.dependency(headers, r"linux-headers-\S+-common")
        for package in (image, *parts, headers, common, "busybox-static"):
            apt.unpack(package, folder)
    (folder / "usr/src" / headers / "vmlinux").unlink(missing_ok=True)  # what it is for wants further programs
    with debian.apt_of(debian.ARCHITECTURES[platform.machine()], stanzas(suite)) as own:
        for package in (kbuild, "libc6"):
            own.unpack(package, folder)
    modpost = folder / "usr/lib" / kbuild / "scripts/mod/modpost"
    modpost.write_text(MODPOST)
