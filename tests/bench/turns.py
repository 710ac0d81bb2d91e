# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests whose data is in RAM, and the same elsewhere: in turns, in one run of one emulator."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from bench.places import RAM
from bench.ratio import Comparison, size
from drivers.request import ANSWER_SECONDS, wait_until
from machines.qtest_client import Emulator

# A clock of Linux's for the processor time of a whole process, those of its threads that have ended included.
PROCESS_CLOCK = 2
RUNNING = "R"

Requests_contra = TypeVar("Requests_contra", contravariant=True)


class Driver(Protocol[Requests_contra]):
    """What makes requests, with so many of them in flight."""

    depth: int

    def describe(self, requests: Requests_contra, /) -> None:
        """Prepare what run() will make."""

    def run(self, count: int) -> None:
        """Make so many requests, at least `depth`."""


@dataclass(frozen=True)
class Effort:
    """How long is measured: rounds, in each of which RAM takes at least so many seconds."""

    rounds: int
    round_seconds: float


def _runs(thread: Path) -> bool:
    try:
        state = (thread / "stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state == RUNNING


def processor_time(emulator: Emulator) -> int:
    """What the emulator has taken when all of its threads sleep, in nanoseconds.

    Of a thread that runs, Linux tells what it had taken at the last tick, milliseconds ago.
    """
    threads = Path(f"/proc/{emulator.pid}/task")
    wait_until(lambda: not any(map(_runs, threads.iterdir())), "an emulator that was to sleep", ANSWER_SECONDS)
    return time.clock_gettime_ns(~emulator.pid << 3 | PROCESS_CLOCK)


@dataclass
class Series:
    """What a request has taken in each round, in nanoseconds: of time, and of the emulator's processor time."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, emulator: Emulator, driver: Driver[Requests_contra], count: int) -> float:
        """Make the requests that are described; the seconds that it took."""
        cpu, wall = processor_time(emulator), time.perf_counter_ns()
        driver.run(count)
        wall, cpu = time.perf_counter_ns() - wall, processor_time(emulator) - cpu
        self.wall.append(wall / count)
        self.cpu.append(cpu / count)
        return wall / 1e9


@dataclass(frozen=True)
class Row:
    """One kind of requests to one device, in RAM and in another place."""

    device: str
    place: str
    kind: str
    size: int
    ram: Series
    other: Series

    @property
    def what(self) -> str:
        return f"{self.kind} {size(self.size)}"

    def speed(self) -> list[float]:
        """How many times as fast as in RAM, in each round."""
        return Comparison(self.what, self.ram.wall, self.other.wall).ratios()

    def processor_time(self) -> list[float]:
        """How many times as much as in RAM."""
        return Comparison(self.what, self.other.cpu, self.ram.cpu).ratios()


def _as_long_as(emulator: Emulator, driver: Driver[Requests_contra], seconds: float) -> int:
    """How many of the requests that are described take so many seconds."""
    count = driver.depth
    while Series().add(emulator, driver, count) < seconds:
        count *= 2
    return count


def in_turns(
    emulator: Emulator, driver: Driver[Requests_contra], requests: Mapping[str, Requests_contra], effort: Effort
) -> Iterator[tuple[str, Series, Series]]:
    """The requests of each place; a place's name, what RAM takes, and what the place takes, for all but RAM."""
    for described in requests.values():
        driver.describe(described)
        driver.run(driver.depth)
    driver.describe(requests[RAM])
    count = _as_long_as(emulator, driver, effort.round_seconds)
    series = {place: Series() for place in requests}
    for _ in range(effort.rounds):
        for place, described in requests.items():
            driver.describe(described)
            series[place].add(emulator, driver, count)
    for place in requests:
        if place != RAM:
            yield place, series[RAM], series[place]
