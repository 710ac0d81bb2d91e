# SPDX-License-Identifier: GPL-2.0-or-later
"""The Rust that the peer is built with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field

import rust_web
from checker.subject import CannotCheck
from machines.error import MachineError, NotAvailable


class NoCompiler(CannotCheck):
    """The peer can't be built here."""


@dataclass(frozen=True)
class Toolchain:
    """Cargo, and what it needs in its environment."""

    cargo: str
    environment: dict[str, str] = field(default_factory=dict)


def find(wanted: str, other_way: str, progress: Callable[[str], None]) -> Toolchain:
    """The one in PATH if it is new enough, else Debian's backport; NoCompiler says what is here, and what would do.

    A backport that is there and doesn't unpack is no such thing, but CannotCheck.
    """
    why = _flaw_in_path(wanted)
    if not why:
        return Toolchain("cargo")
    progress("taking Debian's backport of Rust, a download of 100 MB for the first time")
    try:
        return _debians()
    except MachineError as error:
        no_backport = str(error).partition("\n")[0]
        kind = NoCompiler if isinstance(error, NotAvailable) else CannotCheck
        raise kind(f"{why} {wanted} or newer, {other_way}. (Debian's backport: {no_backport})") from None


def _flaw_in_path(wanted: str) -> str:
    """What is wrong with cargo and rustc in PATH, and what to do, but for the version; nothing if they will do."""
    for name in ("cargo", "rustc"):
        program = shutil.which(name)
        if not program:
            return f"no {name}, to build the peer: install Rust"
        printed = subprocess.run([program, "--version"], text=True, capture_output=True, check=False).stdout
        version = " ".join(printed.split()[1:2])
        if _numbers(version) < _numbers(wanted):
            return f"{name} is {version or 'of no version'}, too old to build the peer: install Rust"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """A version, to be compared; none is older than all others."""
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def _debians() -> Toolchain:
    cargo, compiler = rust_web.cargo(), rust_web.compiler()
    libraries = [*map(str, compiler.libraries + cargo.libraries), os.environ.get("LD_LIBRARY_PATH", "")]
    return Toolchain(str(cargo.program), {
        "LD_LIBRARY_PATH": ":".join(filter(None, libraries)),
        "RUSTC": str(compiler.program),
        "RUSTDOC": str(compiler.program.with_name("rustdoc")),
    })  # fmt: skip
