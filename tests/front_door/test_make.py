# SPDX-License-Identifier: GPL-2.0-or-later
"""What `make` says at its end. The build is played."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[2]
PLAYED = ("needs", "ninja", "python3", "build/venv/bin/meson")


@pytest.mark.parametrize(("base", "install"), [("10.0", "make install"), ("10.2", "make install BASE=10.2")])
def test_the_last_lines_say_where_the_emulators_are_and_how_to_install_them(
        base: str, install: str, tmp_path: Path) -> None:
    build = tmp_path / "build" / "qemu" / base / "build-patched"
    (build / "qemu-system-aarch64.p").mkdir(parents=True)
    emulators = [build / "qemu-system-aarch64", build / "qemu-system-x86_64"]
    for program in (*emulators, *map(tmp_path.joinpath, PLAYED)):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    (tmp_path / "scripts").symlink_to(tmp_path)
    shutil.copy(ROOT / "Makefile", tmp_path)
    done = subprocess.run(["make", "--no-print-directory", f"BASE={base}"], cwd=tmp_path, text=True, check=True,
                          capture_output=True, env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    where, how, took = done.stdout.splitlines()[-3:]
    assert where == f"-- the emulator: {' '.join(map(str, emulators))}"
    assert how == f"-- to install it: {install}"
    assert re.fullmatch(r"-- it took \d+ min \d+ s", took)
