# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that has all that the crate exports, whether it is called or not."""

from __future__ import annotations

import subprocess
from pathlib import Path

from audit.code_image import exported
from audit.programs import C_COMPILERS
from machines.error import MachineError


def whole_crate(library: Path, architecture: str, folder: Path) -> Path:
    """Link it from the crate alone, as rustc made it; into that folder."""
    path = folder / "whole-crate"
    wanted = [f"-Wl,--undefined={name}" for name in exported()]
    done = subprocess.run([C_COMPILERS[architecture], "-static", "-no-pie", "-Wl,--gc-sections", *wanted, "-xc", "-",
                           "-xnone", str(library), "-o", str(path)], input="int main(void) { return 0; }",
                          text=True, capture_output=True, check=False)
    if done.returncode:
        raise MachineError(f"{library} can't be linked for {architecture}:\n{done.stderr}")
    return path
