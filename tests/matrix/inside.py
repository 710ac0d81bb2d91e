# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the outer VM: gives two of its PCI devices to inner emulators, and carries out the jobs.

    inside.py WORK

Writes one JSON object a line to WORK/results.jsonl, which the host follows: {"outcome": ...} for each case,
{"difference": ...} for what wasn't as it must be once an inner machine had ended.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from machines.assigned import give_to_vfio
from matrix import jobs
from matrix.dimensions import STORAGE_DEVICES
from matrix.machine import Assigned
from matrix.runner import Runner
from matrix.stores import BLOCK_DEVICE, EXT4, EXT4_DISK, LOWER_ADDRESS, SHARE, UPPER_ADDRESS, disk_of


def mounted(device: str, at: Path) -> Path:
    """The mount point of an ext4 file system."""
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "ext4", device, str(at)], check=True)
    return at


def main() -> None:
    work = Path(sys.argv[1])
    for address in (LOWER_ADDRESS, UPPER_ADDRESS):
        give_to_vfio(address)
    ext4 = mounted(EXT4_DISK, work / "ext4")

    def image(store: str, device: str) -> Path:
        name = f"disk{STORAGE_DEVICES.index(device)}"
        return {BLOCK_DEVICE: Path(disk_of(device)), EXT4: ext4 / name, SHARE: work / name}[store]

    runner = Runner(Path(tempfile.mkdtemp(dir=ext4)), work, image, Assigned(LOWER_ADDRESS, UPPER_ADDRESS))
    with (work / jobs.RESULTS_FILE).open("a", buffering=1) as results:
        for job in jobs.read(work):
            for outcome in runner.run(job):
                results.write(json.dumps({"outcome": asdict(outcome)}) + "\n")
            for difference in runner.take_differences():
                results.write(json.dumps({"difference": difference}) + "\n")


if __name__ == "__main__":
    main()
