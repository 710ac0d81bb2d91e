# SPDX-License-Identifier: GPL-2.0-or-later
"""Times QEMU's accesses to RAM devices, stock beside patched, and prints the ratios. Nothing is asserted.

    run_bench.py --stock EMULATOR --patched EMULATOR --work FOLDER [--only SECTION] [--rounds N] [--criterion-rounds N]
                 [--disk-rounds N] [--disk-folder FOLDER] [--depth N] [--iothreads N] [--net-rounds N]
                 [--plots FOLDER]

The device is ordinary memory: what is seen is what the CPU does, not what a bus does. The times of accesses are
processor times of the thread that is measured; of virtio's requests there are times by the clock as well. The machine
may have other things to do, but a quiet one gives narrower columns.

With --plots, which wants matplotlib (tests/tables/requirements.txt), virtio's requests are measured for more sizes, and
plotted: what is plotted is what the tables are of.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench import blk_speed, in_process, net_machine, net_speed, places, places_machine, routines
from bench.blk_machine import Load, make_image, place_size
from bench.ratio import Comparison, table
from bench.timed_emulator import TimedEmulator, build
from bench.turns import Effort, Row
from bench.turns_table import table as table_of_turns
from machines.error import MachineError, NotAvailable
from tables import plotting

ADDED_BAR = Path(__file__).with_name("added_bar.c")
# Of requests in RAM, so that few of them are made at a time but the harness's own turns don't matter.
ROUND_SECONDS = 0.05
# What virtio-blk's largest queue has room for.
GREATEST_DEPTH = 256
# Requests in flight are shared evenly among the queues.
IOTHREADS = (0, 1, 2, 4, 8, 16)


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


def layouts(given: argparse.Namespace) -> tuple[places_machine.NewLayout, places_machine.NewLayout]:
    """How the patched and the stock emulator get places for data."""
    stock = places_machine.stock(given.stock, build(given.work, ADDED_BAR))
    return places_machine.patched(given.patched), stock


def beside_ram(given: argparse.Namespace, section: str, head: str, rows: Sequence[Row], skipped: Iterable[str]) -> str:
    """A section of virtio's, which is plotted if that is wanted."""
    lines = [f"{section}, {head}: RAM's time by the place's, and the place's CPU time by RAM's", ""]
    lines += [f"skipped: {what}" for what in skipped]
    if given.plots:
        for plot in plotting.module("bench.plots").draw(section, rows, given.plots):
            print(f"-- {plot}", file=sys.stderr)
    return "\n".join([*lines, table_of_turns(rows)])


def lacking_place(size: int) -> list[str]:
    """The place that this machine lacks, if any, and why."""
    lacking = places.lacks_unpinnable(size)
    return [f"{places.UNPINNABLE}: {lacking}"] if lacking else []


def virtio_blk(given: argparse.Namespace) -> str:
    """Virtio-blk into a BAR, beside RAM."""
    print("-- virtio-blk", file=sys.stderr)
    load = Load(given.depth, given.iothreads)
    image = make_image(given.disk_folder or given.work, load.depth)
    sizes = blk_speed.PLOTTED_SIZES if given.plots else blk_speed.SIZES
    effort = Effort(given.disk_rounds, ROUND_SECONDS)
    rows: list[Row] = []
    skipped = lacking_place(place_size(load.depth))
    for new_layout in layouts(given):
        start = blk_speed.starter(new_layout, image, load)
        measured, lacking_drives = blk_speed.compare(start, given.work, effort, sizes=sizes)
        rows += measured
        skipped += lacking_drives
    image.unlink()
    return beside_ram(given, "virtio-blk", f"{load}, {given.disk_rounds} rounds", rows, skipped)


def virtio_net(given: argparse.Namespace) -> str:
    """Virtio-net out of a BAR and into it, beside RAM."""
    print("-- virtio-net", file=sys.stderr)
    sizes = net_speed.PLOTTED_SIZES if given.plots else net_speed.SIZES
    effort = Effort(given.net_rounds, ROUND_SECONDS)
    rows = [row for new_layout in layouts(given) for row in net_speed.compare(new_layout, given.work, effort, sizes)]
    head = f"{net_machine.DEPTH} packets in flight, {given.net_rounds} rounds"
    return beside_ram(given, "virtio-net", head, rows, lacking_place(net_machine.PLACE_SIZE))


def depth(text: str) -> int:
    """A number of requests in flight, for which a BAR can be made."""
    number = int(text)
    if number.bit_count() != 1 or not 1 <= number <= GREATEST_DEPTH:
        raise argparse.ArgumentTypeError(f"{text} is no power of two from 1 to {GREATEST_DEPTH}")
    return number


SECTIONS: dict[str, Callable[[argparse.Namespace], str]] = {
    "accesses": accesses,
    "virtio-blk": virtio_blk,
    "virtio-net": virtio_net,
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
    parser.add_argument("--depth", type=depth, default=blk_speed.USUAL_DEPTH, help="virtio-blk's requests in flight")
    parser.add_argument("--iothreads", type=int, choices=IOTHREADS, default=0, help="a queue of virtio-blk's for each")
    parser.add_argument("--net-rounds", type=int, default=11, help="turns of virtio-net's packets")
    parser.add_argument("--plots", type=Path, default=os.environ.get("RAM_DEVICE_PLOTS") or None,
                        help="a folder for plots of virtio's sections")  # fmt: skip
    given = parser.parse_args()
    if given.iothreads > given.depth:
        parser.error(f"{given.iothreads} iothreads can't share {given.depth} requests in flight")
    if given.plots:
        plotting.module("bench.plots")
    given.work.mkdir(parents=True, exist_ok=True)

    for name in [given.only] if given.only else SECTIONS:
        printed = SECTIONS[name](given)
        print(f"{processor()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {printed}\n")


if __name__ == "__main__":
    try:
        main()
    except MachineError as error:
        sys.exit(f"run_bench: {error}")
