# SPDX-License-Identifier: GPL-2.0-or-later
"""The storms: which traffic is under way while the BAR goes which way. All of it is data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

BLK, HEADERS, ZEROES, NET, BULK = "virtio-blk", "virtio-blk, all in the BAR", "zeroes", "virtio-net", "bulk accesses"
MEMORY_ENABLE, BUS_RESET, FUNCTION_RESET, POWER_DOWN = "memory-enable", "bus reset", "function-level reset", "D3hot"
ENUMERATION, UNPLUG, OUTSIDE = "enumeration", "unplugged and plugged in", "outside"
PATCHED, STOCK, DIRECT = "patched", "stock", "patched, direct"
# The kernel's drivers: vfio-pci, and those whose mappings never revive: ours in eager_driver/, and NVIDIA's.
VFIO_PCI, EAGER, NVGRACE = "vfio-pci", "vfio_pci_eager", "nvgrace_gpu_vfio_pci"
NEVER_REVIVING = (EAGER, NVGRACE)
PLAN_FILE, RESULTS_FILE = "plan.json", "results.jsonl"


@dataclass(frozen=True)
class Storm:
    """One emulator, one traffic, one way of revoking."""

    variant: str
    emulator: str
    traffic: str
    way: str
    revocations: int
    iothread: bool = False
    drive: str = "cache=writeback,aio=threads"
    direct: bool = False
    driver: str = VFIO_PCI

    @property
    def begins_in_flight(self) -> bool:
        """Whether its first batch is in flight when the BAR goes, and is answered before it is back.

        A bulk access is made at once; a device is unplugged when the requests that it is in have been answered.
        """
        return self.traffic != BULK and self.way != UNPLUG

    def sentence(self) -> str:
        thread = ", iothread" if self.iothread else ""
        drive = f" ({self.drive}{thread})" if self.traffic in (BLK, HEADERS, ZEROES) else ""
        driver = "" if self.driver == VFIO_PCI else f"; {self.driver}"
        return f"{self.variant}: {self.traffic}{drive}; {self.way}{driver}"


@dataclass(frozen=True)
class Result:
    """What became of it.

    `ok`, `error` and `lost` are of the storm itself. `signal` is the one that the emulator died of; `works` is what
    last, quiet batches show. `mappings` are the numbers of the emulator's mappings of the device, before and
    afterwards.
    """

    storm: Storm
    revocations: int
    ok: int
    error: int
    given_up: int
    lost: int
    wrong: tuple[str, ...]
    signal: int | None
    works: bool
    mappings: tuple[int, int]
    seconds: float
    message: str


DRIVES = (
    "cache=writeback,aio=threads",
    "cache=writeback,aio=io_uring",
    "cache=none,aio=threads",
    "cache=none,aio=native",
    "cache=none,aio=io_uring",
)
# So little of an image's tables is kept that each request must read its own, and wait for that.
TABLE_BY_TABLE = "cache=writeback,l2-cache-size=8192"


def survived(emulator: str) -> list[Storm]:
    """The storms that the patched emulator must survive: each traffic, each way of revoking."""
    drive, *_ = DRIVES
    return [
        Storm(PATCHED, emulator, BLK, MEMORY_ENABLE, 20, True, drive),
        Storm(PATCHED, emulator, BLK, OUTSIDE, 40, False, drive),
        Storm(PATCHED, emulator, ZEROES, MEMORY_ENABLE, 40, False, TABLE_BY_TABLE),
        Storm(PATCHED, emulator, HEADERS, MEMORY_ENABLE, 40),
        Storm(PATCHED, emulator, NET, MEMORY_ENABLE, 40),
        Storm(PATCHED, emulator, BULK, OUTSIDE, 500),
        Storm(PATCHED, emulator, BLK, BUS_RESET, 4, True),
        Storm(PATCHED, emulator, BLK, FUNCTION_RESET, 4, True),
        Storm(PATCHED, emulator, BLK, POWER_DOWN, 10, True),
    ]


def also_survived(emulator: str) -> list[Storm]:
    """The same with other drives and threads."""
    drive, *others = DRIVES
    return [
        *(Storm(PATCHED, emulator, BLK, MEMORY_ENABLE, 20, True, other) for other in others),
        *(Storm(PATCHED, emulator, BLK, OUTSIDE, 40, False, other) for other in others),
        Storm(PATCHED, emulator, BLK, MEMORY_ENABLE, 20, False, drive),
        Storm(PATCHED, emulator, BLK, OUTSIDE, 40, True, drive),
        Storm(PATCHED, emulator, ZEROES, MEMORY_ENABLE, 40, True, TABLE_BY_TABLE),
        Storm(PATCHED, emulator, NET, OUTSIDE, 200),
    ]


def survived_eager(emulator: str, driver: str = EAGER) -> list[Storm]:
    """The storms that the patched emulator must survive where the kernel's mappings never revive."""
    storms = [
        Storm(PATCHED, emulator, BLK, MEMORY_ENABLE, 10, True),
        Storm(PATCHED, emulator, BLK, MEMORY_ENABLE, 10, False, "cache=none,aio=native"),
        Storm(PATCHED, emulator, BLK, OUTSIDE, 40, True),
        Storm(PATCHED, emulator, BLK, OUTSIDE, 40, False),
        Storm(PATCHED, emulator, HEADERS, MEMORY_ENABLE, 20),
        Storm(PATCHED, emulator, NET, MEMORY_ENABLE, 40),
        Storm(PATCHED, emulator, NET, OUTSIDE, 200),
        Storm(PATCHED, emulator, BULK, MEMORY_ENABLE, 100),
        Storm(PATCHED, emulator, BULK, OUTSIDE, 500),
        Storm(PATCHED, emulator, BLK, BUS_RESET, 4, True),
        Storm(PATCHED, emulator, BLK, FUNCTION_RESET, 4, True),
        Storm(PATCHED, emulator, BLK, POWER_DOWN, 5, True),
        Storm(PATCHED, emulator, BLK, ENUMERATION, 5, True),
        Storm(PATCHED, emulator, BLK, UNPLUG, 4, True),
    ]
    return [replace(storm, driver=driver) for storm in storms]


def deadly(patched: str, stock: str | None) -> list[Storm]:
    """Storms that always end the emulator, so that the others mean something: stock, and pointers into the BAR."""
    storms = [Storm(DIRECT, patched, HEADERS, MEMORY_ENABLE, 40, direct=True)]
    return [*storms, *([Storm(STOCK, stock, BULK, OUTSIDE, 400)] if stock else [])]


def deadly_eager(stock: str | None, driver: str = EAGER) -> list[Storm]:
    """The same where the kernel's mappings never revive: stock dies of the first access."""
    return [Storm(STOCK, stock, BULK, MEMORY_ENABLE, 1, driver=driver)] if stock else []


def write(work: Path, storms: Sequence[Storm]) -> None:
    (work / PLAN_FILE).write_text(json.dumps([asdict(storm) for storm in storms]))


def read(work: Path) -> list[Storm]:
    """The storms that write() wrote."""
    return [Storm(**fields) for fields in json.loads((work / PLAN_FILE).read_text())]


def result(line: str) -> Result:
    """A result from a line of RESULTS_FILE."""
    fields = json.loads(line)
    tuples = {name: tuple(fields[name]) for name in ("wrong", "mappings")}
    return Result(**{**fields, **tuples, "storm": Storm(**fields["storm"])})
