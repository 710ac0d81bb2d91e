# SPDX-License-Identifier: GPL-2.0-or-later
"""Rust's core for targets that nobody distributes it for: its metadata, which is enough to check a crate.

The distribution's compiler makes it from the distribution's package rust-src, once; it is kept in the cache, as is
clippy of the package rust-clippy, which need not be installed.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from machines import debian
from machines.error import MachineError, NotAvailable

RUSTC = "/usr/bin/rustc"
# core's source may use what only a nightly compiler has.
UNSTABLE = {"RUSTC_BOOTSTRAP": "1"}
EMPTY_BUILTINS = "#![feature(no_core, compiler_builtins)]\n#![no_core]\n#![compiler_builtins]\n"


@dataclass(frozen=True)
class Target:
    """Rust's name for it, and a folder with its core."""

    name: str
    sysroot: Path

    def compile(self, *arguments: str, environment: Mapping[str, str]) -> None:
        """Compile for the target; the metadata, as nothing else is there of core."""
        self._run(RUSTC, arguments, environment)

    def lint(self, *arguments: str, environment: Mapping[str, str]) -> None:
        """The same by clippy, with the lints that the crate asks for."""
        self._run(clippy(), arguments, environment)

    def _run(self, program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        _run(program, ["--target", self.name, "--sysroot", str(self.sysroot), *arguments], environment)


def clippy() -> str:
    """The distribution's clippy, of its compiler's version."""
    folder = debian.unpacked("rust-clippy", debian.cache_folder() / f"rust-clippy-{version()}")
    driver = str(folder / "usr/bin/clippy-driver")
    try:
        of = _run(driver, ["--rustc", "--version"], {}).split()[1]
    except MachineError as error:
        raise NotAvailable(f"the distribution's clippy doesn't work here: {error}") from None
    if of != version():
        raise NotAvailable(f"the distribution's package rust-clippy is of rustc {of}, not {version()}")
    return driver


def version() -> str:
    """That of the distribution's compiler."""
    return _run(RUSTC, ["--version"], {}).split()[1]


def target(name: str) -> Target:
    """The target, with its core; NotAvailable says why it can't be had."""
    source = debian.cache_folder() / f"rust-src-{version()}"

    def fill(sysroot: Path) -> None:
        library = next(debian.unpacked("rust-src", source).glob("usr/src/rustc-*/library"), None)
        if library is None or version() not in str(library):
            raise NotAvailable(f"the distribution's package rust-src isn't of rustc {version()}")
        folder = sysroot / "lib/rustlib" / name / "lib"
        folder.mkdir(parents=True)
        empty = sysroot / "compiler_builtins.rs"
        empty.write_text(EMPTY_BUILTINS)
        for crate, root in {"core": library / "core/src/lib.rs", "compiler_builtins": empty}.items():
            _run(RUSTC, ["--target", name, "--sysroot", str(sysroot), "--edition=2021", "--crate-type", "rlib",
                         "--crate-name", crate, "--cap-lints", "allow", "--emit",
                         f"metadata={folder / f'lib{crate}.rmeta'}", str(root)], UNSTABLE)  # fmt: skip

    return Target(name, debian.filled(debian.cache_folder() / f"rust-core-{version()}-{name}", fill))


def _run(program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run([program, *arguments], env={**os.environ, **environment}, text=True, capture_output=True,
                              check=False)
    except OSError as error:
        raise NotAvailable(f"{program} doesn't start: {error.strerror}") from None
    if done.returncode:
        raise MachineError(f"{program} failed with status {done.returncode}:\n{done.stderr}")
    return done.stdout
