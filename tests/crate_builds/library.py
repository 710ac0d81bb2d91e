# SPDX-License-Identifier: GPL-2.0-or-later
"""rust/ram-device as plain rustc makes it, with the flags of QEMU's build; the crate `qemu` stands for its bindings."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from machines.error import MachineError

RUST = Path(__file__).resolve().parents[2] / "rust"
CRATE = RUST / "ram-device"
# QEMU's default build type: core's own checks are on, those of arithmetic are off.  tests/audit compares them with the
# build.
QEMU_FLAGS = ("--edition=2021", "--cfg", "MESON", "-g", "-C", "opt-level=2", "-C", "debug-assertions=yes",
              "-C", "overflow-checks=no", "-C", "codegen-units=1")  # fmt: skip
SUFFIXES = {"link": "rlib", "metadata": "rmeta", "obj": "o"}


class Rustc(Protocol):
    """Runs a compiler; MachineError says why it fails."""

    def __call__(self, *arguments: str, environment: Mapping[str, str]) -> None: ...


def compile_crate(rustc: Rustc, folder: Path, emit: str = "link", options: tuple[str, ...] = (),
                  crate: Path = CRATE) -> Path:
    """The crate that is there, compiled into that folder as a library, as metadata alone, or as an object."""
    needed = "metadata" if emit == "metadata" else "link"
    qemu = folder / f"libqemu.{SUFFIXES[needed]}"
    # With std, as QEMU's bindings have it, rustc has a panic for what its debug assertions find.
    core_only = ("--cfg", "core_only") if needed == "metadata" else ()
    rustc("--crate-type", "rlib", "--crate-name", "qemu", *QEMU_FLAGS, *core_only, "--emit", f"{needed}={qemu}",
          str(RUST / "qemu/src/lib.rs"), environment={"OUT_DIR": str(bindings())})
    made = folder / f"libram_device.{SUFFIXES[emit]}"
    rustc("--crate-type", "rlib", "--crate-name", "ram_device", *QEMU_FLAGS, *options, "--emit", f"{emit}={made}",
          "--extern", f"qemu={qemu}", str(crate / "src/lib.rs"), environment={})
    return made


@functools.cache
def bindings() -> Path:
    """A folder with what the build script of the crate `qemu` makes of the C headers, which no architecture changes."""
    folder = Path(tempfile.mkdtemp(prefix="ram-device-bindings-"))
    atexit.register(shutil.rmtree, folder)
    script = folder / "build-script"
    _run(["rustc", "--edition=2021", str(RUST / "qemu/build.rs"), "-o", str(script)], {})
    _run([str(script)], {"CARGO_MANIFEST_DIR": str(RUST / "qemu"), "OUT_DIR": str(folder)})
    return folder


def run_rustc(rustc: str, *arguments: str, environment: Mapping[str, str]) -> None:
    """Run that compiler."""
    _run([rustc, *arguments], environment)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, env={**os.environ, **environment}, text=True, capture_output=True, check=False)
    if done.returncode:
        raise MachineError(f"{command[0]} failed with status {done.returncode}:\n{done.stderr}")
