# SPDX-License-Identifier: GPL-2.0-or-later
"""Times QEMU's accesses to RAM devices, stock beside patched, and prints the ratios. Nothing is asserted.

    run_bench.py --stock EMULATOR --patched EMULATOR --work FOLDER [--rounds N] [--criterion-rounds N]

The device is ordinary memory: what is seen is what the CPU does, not what a bus does. The times are processor times
of the thread that is measured; the machine may have other things to do, but a quiet one gives narrower columns.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from pathlib import Path

import in_process
import routines
from machines.error import MachineError
from ratio import Comparison, table
from timed_emulator import TimedEmulator, build


def processor() -> str:
    """Its name."""
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def main() -> None:
    """Compare everything, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", type=Path, required=True)
    parser.add_argument("--patched", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=31, help="turns of each pair inside the emulators")
    parser.add_argument("--criterion-rounds", type=int, default=5, help="runs of cargo bench")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)

    sections: list[tuple[str, list[Comparison]]] = []
    dispatch = build(given.work)
    with TimedEmulator(given.stock, dispatch) as stock, TimedEmulator(given.patched, dispatch) as patched:
        for heading, pairs in in_process.SECTIONS.items():
            print(f"-- {heading}", file=sys.stderr)
            sections.append((heading, in_process.compare(pairs(), stock, patched, given.rounds)))
    print("-- cargo bench", file=sys.stderr)
    missing = ""
    try:
        compared = routines.compare(given.work.resolve(), given.criterion_rounds)
        sections.append(("criterion, outside QEMU: memmove() / ram_device", compared))
    except MachineError as error:
        missing = f"\n\ncriterion has measured nothing: {error}"

    load = os.getloadavg()[0]
    print(f"{processor()}, {os.cpu_count()} processors, load {load:.1f}; {given.rounds} rounds, criterion"
          f" {given.criterion_rounds}\n")  # fmt: skip
    print(table(sections) + missing)


if __name__ == "__main__":
    try:
        main()
    except MachineError as error:
        sys.exit(f"run_bench: {error}")
