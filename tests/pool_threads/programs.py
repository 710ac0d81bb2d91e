# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs with system/ram-device-pool.c in them, compiled as QEMU's build compiles it, for threads and for one."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from crate_builds.library import RUST, compile_crate, run_rustc
from machines.error import MachineError

HERE = Path(__file__).resolve().parent
ROOT = RUST.parent
POOL = ROOT / "qemu/system/ram-device-pool.c"
# What in QEMU's command names the object that it makes.
NAMES_OUTPUT = ("-o", "-c", "-MQ", "-MF")
# The functions of system/physmem.c that keep the clients of an address space, in their order.
MAP_CLIENTS = ("address_space_unregister_map_client_do", "address_space_notify_map_clients_locked",
               "address_space_register_map_client", "address_space_notify_map_clients")  # fmt: skip
# Lines of that file are told from the pool's by numbers beyond these.
FIRST_LINE = 100_000
HANGS_SECONDS = 900


def given(variable: str) -> Path:
    """A folder that the environment names; without it the test is skipped."""
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} names no folder")
    return Path(value)


class Build:
    """QEMU's build, as far as it says how a file is compiled."""

    def __init__(self) -> None:
        self._folder = given("RAM_DEVICE_BUILD_PATCHED")
        self.tree = given("RAM_DEVICE_TREE")
        described = self._folder / "compile_commands.json"
        if not described.exists():
            raise MachineError(f"{described} is missing: QEMU has not been built there")
        (command,) = [entry["command"] for entry in json.loads(described.read_text())
                      if entry["file"].endswith("system/ram-device-pool.c")]  # fmt: skip
        words = shlex.split(command)
        words = words[next(i for i, word in enumerate(words) if word.startswith("-")):]
        self._options = [word for word, before in zip(words, ["", *words], strict=False)
                         if word not in (*NAMES_OUTPUT, "-MD") and before not in NAMES_OUTPUT]  # fmt: skip

    def compile(self, source: Path, made: Path, options: Sequence[str]) -> Path:
        """An object of that C file."""
        # The pool finds "trace.h" beside itself in QEMU's tree.
        own = ("-iquote", str(HERE), "-iquote", str(ROOT / "qemu/include"), "-iquote", str(self.tree / "system"))
        _run(["gcc", *own, *self._options, "-Werror", "-Wno-unused-function", *options, "-o", str(made), "-c",
              str(source)], self._folder)  # fmt: skip
        return made


class Program:
    """A program of which all is compiled but the file that has the pool in it."""

    def __init__(self, folder: Path, main: str, others: Sequence[str], options: Sequence[str]) -> None:
        self._build = Build()
        clients = folder / "map-clients.inc"
        clients.write_text(map_clients((self._build.tree / "system/physmem.c").read_text()))
        self._main = HERE / main
        self._options = [*options, "-O1", f'-DMAP_CLIENTS="{clients}"']
        sources = [*(HERE / name for name in others), self._build.tree / "util/interval-tree.c"]
        self._others = [self._build.compile(source, folder / f"{source.stem}.o", self._options) for source in sources]
        self._others.append(compile_crate(functools.partial(run_rustc, "rustc"), folder))

    def link(self, folder: Path, pool: Path = POOL) -> Path:
        """The program with that pool."""
        own = self._build.compile(self._main, folder / "main.o", [*self._options, f'-DPOOL_SOURCE="{pool}"'])
        glib = subprocess.run(["pkg-config", "--libs", "glib-2.0"], text=True, capture_output=True, check=True).stdout
        program = folder / self._main.stem
        _run(["gcc", "-pthread", *self._options, str(own), *map(str, self._others), *glib.split(), "-Wl,--gc-sections",
              "-o", str(program)], folder)  # fmt: skip
        return program


def stress(folder: Path) -> Program:
    """Threads, which ThreadSanitizer watches."""
    return Program(folder, "stress.c", ("main_loop.c", "fake_qemu.c"), ("-fsanitize=thread", "-Wno-tsan"))


def interleavings(folder: Path) -> Program:
    """Every order of a few steps."""
    return Program(folder, "interleavings.c", ("explorer.c", "fake_qemu.c"), ())


def map_clients(physmem: str) -> str:
    """Those functions, from the file's text."""
    found = []
    for name in MAP_CLIENTS:
        functions = re.findall(rf"^(?:static )?void\s{name}\(.*?^}}\n", physmem, re.MULTILINE | re.DOTALL)
        assert len(functions) == 1, name
        found += functions
    return "\n".join((f"#line {FIRST_LINE}", *found))


def edited(folder: Path, was: str, becomes: str) -> Path:
    """A copy of the pool in which a text that is there once is another."""
    text = POOL.read_text()
    assert text.count(was) == 1, was
    copy = folder / POOL.name
    copy.write_text(text.replace(was, becomes))
    return copy


def run(program: Path, *arguments: str) -> tuple[bool, str]:
    """Did it find nothing, and what has it said?"""
    fixed = ("setarch", "--addr-no-randomize")
    may_fix = subprocess.run([*fixed, "true"], capture_output=True, check=False).returncode == 0
    # ThreadSanitizer can't do with all the places that a kernel may choose for memory.
    done = subprocess.run([*(fixed if may_fix else ()), str(program), *arguments], text=True, capture_output=True,
                          check=False, timeout=HANGS_SECONDS,
                          env={**os.environ, "TSAN_OPTIONS": "halt_on_error=1"})  # fmt: skip
    return done.returncode == 0, done.stdout + done.stderr


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, text=True, capture_output=True, check=False)
    if done.returncode:
        raise MachineError(f"{command[0]} failed with status {done.returncode}:\n{done.stderr}")
