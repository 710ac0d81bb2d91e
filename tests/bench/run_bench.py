# SPDX-License-Identifier: GPL-2.0-or-later
"""Times QEMU's accesses to RAM devices, stock beside patched, and prints the ratios. Nothing is asserted.

    run_bench.py --stock EMULATOR --patched EMULATOR --work FOLDER [--only SECTION] [--rounds N] [--criterion-rounds N]
                 [--disk-rounds N] [--disk-folder FOLDER]

The device is ordinary memory: what is seen is what the CPU does, not what a bus does. The times of accesses are
processor times of the thread that is measured; of virtio-blk's requests there are times by the clock as well. The
machine may have other things to do, but a quiet one gives narrower columns.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path

from bench import blk_machine, blk_speed, blk_table, in_process, routines
from bench.blk_speed import Effort
from bench.polled_queue import DEPTH
from bench.ratio import Comparison, table
from bench.timed_emulator import TimedEmulator, build
from machines.error import MachineError, NotAvailable

ADDED_BAR = Path(__file__).with_name("added_bar.c")
# Of requests in RAM, so that few of them are made at a time but the harness's own turns don't matter.
ROUND_SECONDS = 0.05


def processor() -> str:
    """Its name."""
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()


def accesses(given: argparse.Namespace) -> str:
    """QEMU's functions, inside the emulators."""
    sections: list[tuple[str, list[Comparison]]] = []
    dispatch = build(given.work)
    with TimedEmulator(given.stock, dispatch) as stock, TimedEmulator(given.patched, dispatch) as patched:
        for heading, pairs in in_process.SECTIONS.items():
            print(f"-- {heading}", file=sys.stderr)
            sections.append((heading, in_process.compare(pairs(), stock, patched, given.rounds)))
    return f"{given.rounds} rounds inside the emulators\n\n{table(sections)}"


def crate(given: argparse.Namespace) -> str:
    """The crate's routines, outside QEMU."""
    print("-- cargo bench", file=sys.stderr)
    try:
        compared = routines.compare(given.work.resolve(), given.criterion_rounds)
    except NotAvailable as error:
        return f"criterion has measured nothing: {error}"
    heading = "criterion, outside QEMU: memmove() / ram_device"
    return f"{given.criterion_rounds} runs of cargo bench\n\n{table([(heading, compared)])}"


def virtio_blk(given: argparse.Namespace) -> str:
    """Virtio-blk into a BAR, beside RAM."""
    print("-- virtio-blk", file=sys.stderr)
    image = blk_speed.make_image(given.disk_folder or given.work)
    starts = (
        blk_speed.patched(given.patched, image),
        blk_speed.stock(given.stock, image, build(given.work, ADDED_BAR)),
    )
    rows: list[blk_speed.Row] = []
    head = f"virtio-blk, {DEPTH} requests in flight, {given.disk_rounds} rounds"
    lines = [f"{head}: RAM's time by the place's, and the place's CPU time by RAM's", ""]
    if lacking := blk_machine.lacks_unpinnable():
        lines.append(f"skipped: {blk_machine.UNPINNABLE}: {lacking}")
    for start in starts:
        measured, skipped = blk_speed.compare(start, given.work, Effort(given.disk_rounds, ROUND_SECONDS))
        rows += measured
        lines += [f"skipped: {drive}" for drive in skipped]
    image.unlink()
    return "\n".join([*lines, blk_table.table(rows)])


SECTIONS: dict[str, Callable[[argparse.Namespace], str]] = {
    "accesses": accesses,
    "virtio-blk": virtio_blk,
    "crate": crate,
}


def main() -> None:
    """Compare everything, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stock", type=Path, required=True)
    parser.add_argument("--patched", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", choices=SECTIONS, help="one of the sections")
    parser.add_argument("--rounds", type=int, default=31, help="turns of each pair inside the emulators")
    parser.add_argument("--criterion-rounds", type=int, default=5, help="runs of cargo bench")
    parser.add_argument("--disk-rounds", type=int, default=11, help="turns of virtio-blk's requests")
    parser.add_argument("--disk-folder", type=Path, help="where virtio-blk's image is made, if not in the work folder")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)

    for name in [given.only] if given.only else SECTIONS:
        printed = SECTIONS[name](given)
        print(f"{processor()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {printed}\n")


if __name__ == "__main__":
    try:
        main()
    except MachineError as error:
        sys.exit(f"run_bench: {error}")
