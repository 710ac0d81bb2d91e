# SPDX-License-Identifier: GPL-2.0-or-later
"""The Rust compilers at hand for an architecture: the current one, and the distribution's, which is the oldest."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import rust_distribution
import rust_web
from machines.error import MachineError


@dataclass(frozen=True)
class Compiler:
    """A compiler that has libcore for the architecture, and what it needs to run."""

    rustc: str
    architecture: str
    arguments: tuple[str, ...] = ()
    libraries: tuple[Path, ...] = ()

    @property
    def version(self) -> str:
        """For instance 1.63.0."""
        return self._run(["--version"], {}).split()[1]

    def compile(self, *arguments: str, environment: Mapping[str, str]) -> None:
        """Compile for the architecture."""
        self._run(["--target", target(self.architecture), *self.arguments, *arguments], environment)

    def _run(self, arguments: list[str], environment: Mapping[str, str]) -> str:
        full = {**os.environ, **environment}
        if self.libraries:
            full["LD_LIBRARY_PATH"] = ":".join(map(str, self.libraries))
        done = subprocess.run([self.rustc, *arguments], env=full, text=True, capture_output=True, check=False)
        if done.returncode:
            raise MachineError(f"{self.rustc} failed with status {done.returncode}:\n{done.stderr}")
        return done.stdout


def target(architecture: str) -> str:
    """Rust's name for Linux on that architecture."""
    return f"{architecture}-unknown-linux-gnu"


@functools.cache
def current(architecture: str) -> Compiler:
    """The compiler in PATH if it is newer than the distribution's and has libcore for the architecture; else Debian's
    backport of a current one."""
    in_path = shutil.which("rustc")
    if in_path:
        compiler = Compiler(in_path, architecture)
        is_newer = not Path(rust_distribution.COMPILER).exists() or compiler.version != rust_distribution.version()
        if is_newer and _has_core(compiler):
            return compiler
    web = rust_web.compiler(architecture)
    return Compiler(str(web.program), architecture, ("--sysroot", str(web.root / "usr")), web.libraries)


@functools.cache
def distributions(architecture: str) -> Compiler:
    """The distribution's own compiler."""
    compiler = Compiler(rust_distribution.compiler(), architecture)
    if _has_core(compiler):
        return compiler
    return replace(compiler, arguments=("--sysroot", str(rust_distribution.sysroot(architecture))))


def _has_core(compiler: Compiler) -> bool:
    found = subprocess.run([compiler.rustc, "--print", "target-libdir", "--target", target(compiler.architecture)],
                           text=True, capture_output=True, check=False)
    return found.returncode == 0 and any(Path(found.stdout.strip()).glob("libcore-*.rlib"))
