# SPDX-License-Identifier: GPL-2.0-or-later
"""What ASan and UBSan report of an emulator: a file for each process, as long as nobody has closed its stderr."""

from __future__ import annotations

import re
from pathlib import Path

WHAT = re.compile(r"^(?:==\d+==ERROR: )?(.*(?:runtime error: |AddressSanitizer: ).*)$", re.MULTILINE)


def options(folder: Path) -> dict[str, str]:
    """The environment that makes them report into the folder. QEMU leaves to the kernel what it has at its end."""
    path = f"log_path={folder / 'report'}"
    return {"ASAN_OPTIONS": f"{path}:detect_leaks=0", "UBSAN_OPTIONS": f"{path}:print_stacktrace=1"}


def found(folder: Path) -> list[str]:
    """The first line of each report, each different one once, with how often it came."""
    lines = [line for path in sorted(folder.iterdir()) for line in WHAT.findall(path.read_text(errors="replace"))]
    return [f"{lines.count(line)} times: {line}" for line in dict.fromkeys(lines)]
