# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's backport of a current Rust, which it keeps for its browsers. It can't be installed beside rustc, so it is
unpacked into the cache."""

from __future__ import annotations

import functools
import platform
from dataclasses import dataclass
from pathlib import Path

import debian_packages
from workplace import NotAvailable

COMPILER, CARGO = "rustc-web", "cargo-web"


@dataclass(frozen=True)
class Tool:
    """An unpacked program."""

    root: Path
    name: str

    @property
    def program(self) -> Path:
        return self.root / "usr/bin" / self.name

    @property
    def libraries(self) -> tuple[Path, ...]:
        """For LD_LIBRARY_PATH: its own, and those that the machine lacked."""
        return (*self.root.glob("usr/lib/*-linux-gnu"), *self.root.glob("lib/*-linux-gnu"))


def compiler(architecture: str | None = None) -> Tool:
    """rustc from the cache, with the standard library of the machine's own architecture, and of another one if wanted.

    NotAvailable says why it can't be had.
    """
    own = platform.machine()
    wanted = architecture or own
    if wanted not in debian_packages.ARCHITECTURES:
        raise NotAvailable(f"{COMPILER} is known for {' and '.join(debian_packages.ARCHITECTURES)}, not for {wanted}")
    name = f"{COMPILER}-{wanted}" if wanted == own else f"{COMPILER}-{own}-for-{wanted}"
    folder = debian_packages.cache_folder() / name
    return Tool(debian_packages.filled(folder, functools.partial(_unpack_compiler, wanted)), "rustc")


def cargo() -> Tool:
    """cargo from the cache; NotAvailable says why it can't be had."""
    return Tool(debian_packages.filled(debian_packages.cache_folder() / CARGO, _unpack_cargo), "cargo")


def _unpack_compiler(architecture: str, folder: Path) -> None:
    own = debian_packages.MACHINES_OWN
    standard = own.dependency(COMPILER, "libstd-rust-web-dev")
    shared = own.dependency(standard, r"libstd-rust-web-\d\S*")
    own.unpack_all([COMPILER, shared, standard], folder)
    own.unpack_with_dependencies(own.dependency(shared, r"libllvm\d+"), folder)
    if architecture == platform.machine():
        return
    # The lists of another architecture are fetched, and may know a newer version, which this compiler can't use.
    with debian_packages.apt_of(debian_packages.ARCHITECTURES[architecture]) as apt:
        apt.unpack(f"{standard}={own.version(standard)}", folder)


def _unpack_cargo(folder: Path) -> None:
    own = debian_packages.MACHINES_OWN
    own.unpack(CARGO, folder)
    for library in own.dependencies(CARGO, r"lib\S+"):
        own.unpack_with_dependencies(library, folder)
