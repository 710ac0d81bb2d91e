# SPDX-License-Identifier: GPL-2.0-or-later
"""Virtio-blk requests whose data is in RAM, and the same into a BAR: in turns, in one run of one emulator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from bench import blk_machine
from bench.blk_drives import DRIVES, NULL, Drive, lacking
from bench.blk_machine import DISK_HALF, RAM, Machine
from bench.polled_queue import DEPTH
from bench.ratio import KIB, Comparison, size
from drivers.request import RequestFailed
from machines.error import MachineError
from machines.qtest_client import EmulatorError

SIZES = (4 * KIB, 64 * KIB, 1024 * KIB)
# A clock of Linux's for the processor time of a whole process, those of its threads that have ended included.
PROCESS_CLOCK = 2

Start = Callable[[Path, Drive], AbstractContextManager[Machine]]


@dataclass(frozen=True)
class Effort:
    """How long is measured: rounds, in each of which RAM takes at least so many seconds."""

    rounds: int
    round_seconds: float


@dataclass
class Series:
    """What a request has taken in each round, in nanoseconds: of time, and of the emulator's processor time."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, machine: Machine, count: int) -> float:
        """Make the requests that are described; the seconds that it took."""
        clock = ~machine.emulator.pid << 3 | PROCESS_CLOCK
        wall, cpu = time.perf_counter_ns(), time.clock_gettime_ns(clock)
        machine.queue.run(count)
        cpu, wall = time.clock_gettime_ns(clock) - cpu, time.perf_counter_ns() - wall
        self.wall.append(wall / count)
        self.cpu.append(cpu / count)
        return wall / 1e9


@dataclass(frozen=True)
class Row:
    """One kind of requests, on one drive, in RAM and in another place."""

    drive: Drive
    place: str
    from_disk: bool
    size: int
    ram: Series
    other: Series

    @property
    def what(self) -> str:
        return f"{'read' if self.from_disk else 'write'} {size(self.size)}"

    def speed(self) -> list[float]:
        """How many times as fast as in RAM, in each round."""
        return Comparison(self.what, self.ram.wall, self.other.wall).ratios()

    def processor_time(self) -> list[float]:
        """How many times as much as in RAM."""
        return Comparison(self.what, self.other.cpu, self.ram.cpu).ratios()


def make_image(folder: Path) -> Path:
    """The disk, without holes."""
    image = folder / "virtio-blk.img"
    image.write_bytes(bytes(2 * DISK_HALF))
    return image


def _as_long_as(machine: Machine, seconds: float) -> int:
    """How many of the requests that are described take so many seconds."""
    count = DEPTH
    while Series().add(machine, count) < seconds:
        count *= 2
    return count


def measure(machine: Machine, drive: Drive, effort: Effort) -> Iterator[Row]:
    """All sizes, both ways, in all places of one machine."""
    for length in SIZES:
        for place in machine.places if drive != NULL else ():
            machine.check_contents(length, place, f"{drive} {length} {place.name}")
        for from_disk in (True, False):
            requests = {place.name: machine.requests(from_disk, length, place) for place in machine.places}
            for described in requests.values():
                machine.queue.describe(described)
                machine.queue.run(DEPTH)
            machine.queue.describe(requests[RAM])
            count = _as_long_as(machine, effort.round_seconds)
            series = {name: Series() for name in requests}
            for _ in range(effort.rounds):
                for name, described in requests.items():
                    machine.queue.describe(described)
                    series[name].add(machine, count)
            for name in requests:
                if name != RAM:
                    yield Row(drive, name, from_disk, length, series[RAM], series[name])


def compare(
    start: Start, folder: Path, effort: Effort, drives: Sequence[Drive] = (NULL, *DRIVES)
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
                measured = list(measure(machine, drive, effort))
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


def patched(emulator: Path, image: Path) -> Start:
    """How a patched emulator is started."""
    return lambda folder, drive: blk_machine.patched(emulator, folder, image, drive)


def stock(emulator: Path, image: Path, added_bar: Path) -> Start:
    """How a stock emulator is started."""
    return lambda folder, drive: blk_machine.stock(emulator, folder, image, drive, added_bar)
