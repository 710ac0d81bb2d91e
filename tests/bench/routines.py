# SPDX-License-Identifier: GPL-2.0-or-later
"""The crate's routines beside memmove(), by criterion (rust/bench)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from bench.ratio import Comparison, size
from machines.error import MachineError, NotAvailable

RUST = Path(__file__).resolve().parents[2] / "rust"
COMMAND = ("cargo", "bench", "--quiet", "--package", "ram_device_bench", "--bench", "routines")
GROUPS = ("load", "store", "read", "write")

Times = dict[tuple[str, int], tuple[float, float]]


def run_once(work: Path) -> Times:
    """One run of all benches: for each group and length the median of memmove() and of ours."""
    folder = work / "criterion"
    environment = os.environ | {"CRITERION_HOME": str(folder), "CARGO_TARGET_DIR": str(work / "target")}
    try:
        done = subprocess.run(COMMAND, cwd=RUST, env=environment, text=True, capture_output=True, check=False)
    except FileNotFoundError:
        raise NotAvailable("there is no cargo here; install it (Debian: cargo)") from None
    if done.returncode != 0:
        raise MachineError(f"{' '.join(COMMAND)} failed:\n{done.stderr}")
    times: Times = {}
    for group in GROUPS:
        for estimates in (folder / group / "ram_device").glob("*/new/estimates.json"):
            length = estimates.parts[-3]
            other = folder / group / "memmove" / length / "new" / "estimates.json"
            times[group, int(length)] = (point(other), point(estimates))
    if not times:
        raise MachineError(f"{' '.join(COMMAND)} has left no estimates in {folder}")
    return times


def point(estimates: Path) -> float:
    """Criterion's median, in nanoseconds."""
    return float(json.loads(estimates.read_text())["median"]["point_estimate"])


def compare(work: Path, rounds: int) -> list[Comparison]:
    """All of it, as often as there are rounds."""
    runs = [run_once(work) for _ in range(rounds)]
    return [
        Comparison(f"{group} {size(length)}", *zip(*(run[group, length] for run in runs), strict=True))
        for group, length in sorted(runs[0], key=lambda key: (GROUPS.index(key[0]), key[1]))
    ]
