# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulator in gdb, driven by a script in Python."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
TIMEOUT = 600


def run(script: Path, emulator: str | Path, machine: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """What has become of it; the script imports from tests/."""
    command = ["gdb", "-nx", "--batch", "-x", str(script), "--args", str(emulator), *machine]
    return subprocess.run(command, text=True, capture_output=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL,
                          check=False, env={**os.environ, "PYTHONPATH": str(TESTS)})  # fmt: skip
