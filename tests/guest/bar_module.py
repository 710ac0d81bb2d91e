# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest's kernel module, which makes system RAM of a BAR: built from source for the guest's kernel."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from machines.debian_arm64 import ARCHITECTURE, COMPILER_PREFIX, Debian
from machines.error import MachineError

MODULE_SOURCE = Path(__file__).with_name("module")


def missing_programs(kernel: Debian) -> list[str]:
    """What isn't here and is needed to build the module."""
    return [program for program in ("make", kernel.compiler) if shutil.which(program) is None]


def built_module(kernel: Debian, folder: Path) -> Path:
    """The module, built in that new folder."""
    shutil.copytree(MODULE_SOURCE, folder)
    command = [
        "make", "-C", str(kernel.headers), "-f", str(kernel.common_headers / "Makefile"), f"M={folder}",
        f"ARCH={ARCHITECTURE}", f"CROSS_COMPILE={COMPILER_PREFIX}", f"CC={kernel.compiler}", "W=1", "modules",
    ]  # fmt: skip
    # A make that runs this test hands its options on, which aren't meant for this one.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MachineError(f"{shlex.join(command)} failed with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return folder / "ram_bar.ko"
