# SPDX-License-Identifier: GPL-2.0-or-later
"""The test programs: the crate as each compiler makes it for each architecture, linked with transfers.c."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from audit import cases, compilers
from crate_builds.library import CRATE, compile_crate
from machines.debian import ARCHITECTURES
from machines.error import MachineError, NotAvailable

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("transfers.c")
C_COMPILERS = {"x86_64": "gcc", "aarch64": "aarch64-linux-gnu-gcc"}
REASON = "not-available"  # scripts/emulator.py leaves it where there is no cross build
CROSS_BUILDS = {"aarch64": "RAM_DEVICE_BUILD_ARM64"}
EMULATORS_LIBRARY = Path("rust/ram-device/libram_device.rlib")


@dataclass(frozen=True)
class Wanted:
    """A program that ought to be there: its architecture, and whose build of the crate is in it."""

    architecture: str
    crate: str  # "current", "distribution" or "emulator"

    def __str__(self) -> str:
        return f"{self.architecture}-{self.crate}"


@dataclass(frozen=True)
class Program:
    """A test program that has been built."""

    path: Path
    architecture: str
    compiler_version: str
    crate: str
    library: Path  # the crate alone, as an archive of objects

    def __str__(self) -> str:
        emulators = ", the emulator's own object" if self.crate == "emulator" else ""
        return f"{self.architecture}, rustc {self.compiler_version}{emulators}"


WANTED = (
    Wanted("x86_64", "current"),
    Wanted("x86_64", "distribution"),
    Wanted("x86_64", "emulator"),
    Wanted("aarch64", "current"),
    Wanted("aarch64", "distribution"),
    Wanted("aarch64", "emulator"),
)


def built(wanted: Wanted, folder: Path, crate: Path = CRATE) -> Program:
    """The program, built in that new folder; NotAvailable says why it can't be had here."""
    folder.mkdir(parents=True, exist_ok=True)
    if wanted.crate == "emulator":
        library, version, include = _emulators_library(wanted.architecture)
    else:
        find = compilers.current if wanted.crate == "current" else compilers.distributions
        compiler = find(wanted.architecture)
        library = compile_crate(compiler.compile, folder, crate=crate)
        version, include = compiler.version, ROOT / "qemu/include"
    path = folder / "transfers"
    _link(wanted.architecture, library, include, path)
    return Program(path, wanted.architecture, version, wanted.crate, library)


def programs(folder: Path) -> tuple[list[Program], dict[Wanted, str]]:
    """All programs that can be had, and for the others the reason; one that is broken is an error."""
    found: list[Program] = []
    reasons: dict[Wanted, str] = {}
    for wanted in WANTED:
        try:
            found.append(built(wanted, folder / str(wanted)))
        except NotAvailable as reason:
            reasons[wanted] = str(reason)
    return found, reasons


def emulator(architecture: str) -> Path:
    """The patched emulator for hosts of that architecture; NotAvailable says why there is none."""
    variable = "RAM_DEVICE_BUILD_PATCHED" if architecture == platform.machine() else CROSS_BUILDS.get(architecture, "")
    if not os.environ.get(variable):
        raise NotAvailable(f"no emulator for {architecture} hosts here: {variable or 'a cross build'} is missing")
    build = Path(os.environ[variable])
    if variable in CROSS_BUILDS.values() and not build.is_dir():
        remedy = f"make ARCH={ARCHITECTURES[architecture]} builds it"
        raise NotAvailable(f"no emulator for {architecture} hosts here: {remedy}")
    if (build / REASON).is_file():
        raise NotAvailable(f"no emulator for {architecture} hosts: {(build / REASON).read_text()}")
    found = build / "qemu-system-aarch64"
    if not found.exists():
        raise MachineError(f"no {found}: build the emulator first (make, make ARCH=arm64)")
    return found


def _emulators_library(architecture: str) -> tuple[Path, str, Path]:
    """The very object that was linked into the patched emulator, the version of its compiler, and its C header."""
    tree = os.environ.get("RAM_DEVICE_TREE")
    if not tree:
        raise NotAvailable("RAM_DEVICE_TREE must name the emulator's source")
    library = emulator(architecture).parent / EMULATORS_LIBRARY
    return library, _producer(library), Path(tree) / "include"


def _producer(library: Path) -> str:
    """The version of the compiler that made a library, as its debug information has it."""
    printed = _run(["readelf", "--debug-dump=info", "--dwarf-depth=1", str(library)])
    versions = {words[words.index("version") + 1].rstrip(")") for line in printed.splitlines()
                if "DW_AT_producer" in line and "version" in (words := line.split())}
    if len(versions) != 1:
        raise MachineError(f"{library} doesn't say which compiler made it: {versions or 'no DW_AT_producer'}")
    return versions.pop()


def _link(architecture: str, library: Path, include: Path, path: Path) -> None:
    compiler = C_COMPILERS[architecture]
    if not shutil.which(compiler):
        raise NotAvailable(f"no {compiler} here: scripts/needs says which packages the tests want")
    # Without libc's shared objects and without relocation an address in a trace is one in the file.  The crate's
    # derived Debug, which nobody calls, would want libcore; the linker drops it.
    _run([compiler, "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-fno-builtin-memmove", "-static",
          "-no-pie", "-Wl,--gc-sections", *cases.definitions(), "-I", str(include), str(DRIVER), str(library),
          "-o", str(path)])  # fmt: skip


def _run(command: list[str]) -> str:
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode:
        raise MachineError(f"{shlex.join(command)} failed with status {done.returncode}:\n{done.stderr}")
    return done.stdout
