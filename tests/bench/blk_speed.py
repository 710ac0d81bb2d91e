# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtio-blk requests whose data is in RAM, and the same into a BAR."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bench import blk_machine
from bench.blk_drives import DRIVES, NULL, Drive, lacking
from bench.blk_machine import BlkMachine, Load
from bench.places_machine import NewLayout
from bench.ratio import KIB
from bench.turns import Effort, Row, in_turns
from drivers.request import RequestFailed
from machines.error import MachineError
from machines.qtest_client import EmulatorError

USUAL_DEPTH = 16
SIZES = (4 * KIB, 64 * KIB, 1024 * KIB)
# Enough for a curve.
PLOTTED_SIZES = (4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB)

Start = Callable[[Path, Drive], AbstractContextManager[BlkMachine]]


def starter(new_layout: NewLayout, image: Path, load: Load) -> Start:
    """How an emulator with such places is started."""
    return lambda folder, drive: blk_machine.start(new_layout, folder, image, drive, load)


def measure(machine: BlkMachine, drive: Drive, effort: Effort, sizes: Sequence[int] = SIZES) -> Iterator[Row]:
    """All sizes, both ways, in all places of one machine."""
    for length in sizes:
        for place in machine.places if drive != NULL else ():
            machine.check_contents(length, place, f"{drive} {length} {place.name}")
        for from_disk in (True, False):
            requests = {place.name: machine.requests(from_disk, length, place) for place in machine.places}
            for place_name, ram, other in in_turns(machine.emulator, machine.driver, requests, effort):
                yield Row(str(drive), place_name, "read" if from_disk else "write", length, ram, other)


def compare(
    start: Start,
    folder: Path,
    effort: Effort,
    drives: Sequence[Drive] = (NULL, *DRIVES),
    sizes: Sequence[int] = SIZES,
) -> tuple[list[Row], list[str]]:
    """The drives on an emulator; and which ones it can't have, with its reason."""
    rows: list[Row] = []
    skipped: list[str] = []
    for drive in drives:
        messages = folder / "messages"
        messages.write_bytes(b"")
        measured: list[Row] = []
        failure = ""
        try:
            with start(folder, drive) as machine:
                measured = list(measure(machine, drive, effort, sizes))
        except (EmulatorError, RequestFailed) as error:
            failure = str(error)
        said = messages.read_text(errors="replace")
        if reason := lacking(said):
            skipped.append(f"{drive}: {reason}")
        elif failure:
            raise MachineError(f"{drive}: {failure}\n{said}")
        else:
            rows += measured
    return rows, skipped
