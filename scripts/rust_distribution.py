# SPDX-License-Identifier: GPL-2.0-or-later
"""The distribution's own Rust, and its standard library for other architectures, unpacked into the cache."""

from __future__ import annotations

import platform
from pathlib import Path

import debian_packages
from workplace import NotAvailable, run

COMPILER = "/usr/bin/rustc"
LIBRARIES = "lib/rustlib"
TARGET = "{}-unknown-linux-gnu"


def compiler() -> str:
    """The compiler; NotAvailable says that there is none."""
    if not Path(COMPILER).exists():
        raise NotAvailable(f"no {COMPILER} here: install the distribution's package rustc")
    return COMPILER


def version() -> str:
    """The compiler's, for instance 1.63.0."""
    return run([compiler(), "--version"]).split()[1]


def sysroot(architecture: str) -> Path:
    """A folder for rustc's --sysroot that has the standard library for another architecture beside the machine's own.

    NotAvailable says why it can't be had.
    """
    own = Path(run([compiler(), "--print", "sysroot"]).strip(), LIBRARIES, TARGET.format(platform.machine()))

    def unpack(folder: Path) -> None:
        with debian_packages.apt_of(debian_packages.ARCHITECTURES[architecture]) as apt:
            apt.unpack("libstd-rust-dev", folder)
        (folder / "usr" / LIBRARIES / own.name).symlink_to(own)

    name = f"rust-{version()}-{platform.machine()}-for-{architecture}"
    return debian_packages.filled(debian_packages.cache_folder() / name, unpack) / "usr"
