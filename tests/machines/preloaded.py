# SPDX-License-Identifier: GPL-2.0-or-later
"""Shared objects of ours that go into an emulator by LD_PRELOAD."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from machines.error import MachineError


def build(folder: Path, source: Path, *options: str) -> Path:
    """The shared object of a C file, in the folder."""
    built = folder / f"{source.stem}.so"
    command = [*shlex.split(os.environ.get("CC", "cc")), "-O2", "-Wall", "-Werror", "-shared", "-fPIC", *options,
               "-o", str(built), str(source)]  # fmt: skip
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise MachineError(f"{source.name} doesn't compile:\n{done.stderr}")
    return built
