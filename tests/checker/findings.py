# SPDX-License-Identifier: GPL-2.0-or-later
"""What the checker finds out about an emulator, and what that means for whoever uses it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

KIB = 1024
OK, WRONG, IO_ERROR, LOST_DEVICE = "ok", "wrong contents", "I/O error", "device lost"
NO_ANSWER, LOST_EMULATOR = "no answer", "emulator lost"
TO_BAR, FROM_BAR = "to BAR", "from BAR"
DIRECTIONS = (TO_BAR, FROM_BAR)
BLK, SCSI, NVME, NET = "virtio-blk", "virtio-scsi", "nvme", "virtio-net"
# Of what is written the emulator itself looks at each byte.
BLK_SCANNED = "virtio-blk with detect-zeroes"
# Its BAR is one that the kernel refuses to pin.
BLK_O_DIRECT = "virtio-blk with cache=none"
# What becomes of a request that mustn't succeed, beside some of the above.
FAILS, DROPPED, ENDS = "request fails", "dropped", "the emulator ends"
MADE_UP, CHANGED, NOTHING = "made-up data with ok", "request fails, but the disk has changed", "ok, but nothing written"
WRITTEN = "written all the same"
RAISED = "x-max-bounce-buffer-size=1G,disable-legacy=on,iommu_platform=on"
# The situations in which requests mustn't succeed.
BAR_GONE, READ_ONLY = "a BAR that goes away under a write", "a read into a BAR that can't be written"
FINE, AFFECTED, NOT_CHECKED = 0, 1, 2


@dataclass(frozen=True)
class Request:
    """A request of an emulated device whose data is in BAR 4, where it is mapped, and what became of it."""

    device: str
    direction: str
    size: int
    verdict: str
    message: str = ""


@dataclass(frozen=True)
class Answer:
    """What became of a request, what was said, and by which signal the emulator has ended, if it has."""

    verdict: str
    message: str = ""
    signal: str = ""

    @property
    def without_success(self) -> str:
        """How a request went that has not been answered with ok."""
        if self.verdict == LOST_EMULATOR and self.signal:
            return f"{ENDS} by {self.signal}"
        return FAILS if self.verdict == IO_ERROR else self.verdict


@dataclass(frozen=True)
class Denied:
    """A request that mustn't succeed: its outcome, and the verdict on the next one, which must, if there was one."""

    device: str
    size: int
    outcome: str
    again: str = ""
    message: str = ""

    @property
    def is_fine(self) -> bool:
        return self.outcome in (FAILS, DROPPED) and self.again == OK

    @property
    def found(self) -> str:
        if not self.again:
            return self.outcome
        return f"{self.outcome}; then {'all works again' if self.again == OK else self.again}"


@dataclass(frozen=True)
class Check:
    """Something else that was looked at. `is_ok` is None if it couldn't be."""

    name: str
    is_ok: bool | None
    found: str


@dataclass(frozen=True)
class Limit:
    """The largest virtio-blk request that works, and the smallest that doesn't."""

    works: int
    fails: int
    verdict: str
    message: str


@dataclass(frozen=True)
class Speed:
    """Megabytes a second of virtio-blk reads, each with the largest requests that work."""

    ram_size: int
    ram: float
    bar_size: int
    bar: float

    @property
    def ratio(self) -> float:
        return self.bar / self.ram


Made = TypeVar("Made", Request, Denied)


@dataclass
class Findings:
    """All of it."""

    program: str
    version: str
    architecture: str
    machine: str
    region: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    limit: Limit | None = None
    in_flight: list[Request] = field(default_factory=list)
    bar_gone: list[Denied] = field(default_factory=list)
    read_only: list[Denied] = field(default_factory=list)
    raised_bounce_buffer: list[Request] = field(default_factory=list)
    o_direct: list[Request] = field(default_factory=list)
    o_direct_not_checked: str = ""
    checks: list[Check] = field(default_factory=list)
    speed: Speed | None = None

    def failed(self) -> list[Request]:
        return [request for request in [*self.requests, *self.o_direct] if request.verdict != OK]

    def failed_checks(self) -> list[Check]:
        return [check for check in self.checks if check.is_ok is False]

    def failed_in_flight(self) -> list[Request]:
        return [batch for batch in self.in_flight if batch.verdict != OK]

    def not_fine(self) -> list[Denied]:
        return [denied for denied in [*self.bar_gone, *self.read_only] if not denied.is_fine]

    def not_checked(self) -> list[str]:
        """The names of what couldn't be looked at."""
        names = [check.name for check in self.checks if check.is_ok is None]
        return [*names, "cache=none"] if self.o_direct_not_checked else names

    @property
    def status(self) -> int:
        """The checker's exit status."""
        is_affected = self.failed() or self.failed_in_flight() or self.not_fine() or self.failed_checks()
        return AFFECTED if is_affected else FINE

    @property
    def verdict(self) -> str:
        """One sentence."""
        name = f"QEMU {self.version} ({self.architecture})"
        ways = []
        if devices := list(dict.fromkeys(request.device for request in self.failed())):
            failures = ", ".join(self._first_failure(device) for device in devices)
            ways.append(f"DMA of emulated devices into a passed-through BAR fails: {failures}")
        ways += devices_of_each((f"several requests of {shown(batch.size)} in flight: {batch.verdict}", batch.device)
                                for batch in smallest_of_each_device(self.failed_in_flight()))  # fmt: skip
        for situation, made in ((BAR_GONE, self.bar_gone), (READ_ONLY, self.read_only)):
            first = smallest_of_each_device([denied for denied in made if not denied.is_fine])
            ways += devices_of_each((f"{situation}: {denied.found}", denied.device) for denied in first)
        ways += [f"{check.name}: {check.found}" for check in self.failed_checks()]
        left_out = f" Not checked: {', '.join(self.not_checked())}." if self.not_checked() else ""
        if ways:
            return f"{name} is affected: {'; '.join(ways)}.{left_out}"
        sizes = [request.size for request in self.requests]
        fine = "fine as far as checked" if left_out else "fine"
        span = f"{shown(min(sizes))} to {shown(max(sizes))}"
        return (f"{name} is {fine}: every request of {span} into a passed-through BAR worked, with equal contents on"
                f" both sides.{left_out}")  # fmt: skip

    def _first_failure(self, device: str) -> str:
        first = min(of_device(self.failed(), device), key=lambda request: request.size)
        size = self.limit.fails if self.limit and device == BLK else first.size
        return f"{device} from {size} bytes on ({first.verdict})"

    @property
    def remedy(self) -> str:
        """What whoever uses an affected emulator can do."""
        if self.status == FINE:
            return ""
        if not (self.failed() or self.failed_in_flight() or self.not_fine()):
            return "None known: look at the lines that failed."
        ways = ["use a QEMU with this repository's series"]
        if any("direct" in line for line in self.region):
            ways = ["use this QEMU without x-ram-device-direct=on"]
        outcomes: dict[str, set[str]] = {}
        for request in self.raised_bounce_buffer:
            outcomes.setdefault(request.device, set()).add(request.verdict)
        helped = [device for device, verdicts in outcomes.items() if verdicts == {OK}]
        if helped:
            only = ", for the sizes only," if self.not_fine() else ""
            ways.append(f"or{only} set {RAISED} on each {' and '.join(helped)} (all data is copied once more)")
            ways += [f"which does not help {device} ({', '.join(sorted(verdicts - {OK}))})"
                     for device, verdicts in outcomes.items() if device not in helped]  # fmt: skip
        return f"Remedy: {', '.join(ways)}."


def of_device(requests: Sequence[Made], device: str) -> list[Made]:
    return [request for request in requests if request.device == device]


def devices_of_each(found: Iterable[tuple[str, str]]) -> list[str]:
    """Each finding once, with the devices that it was made with."""
    devices: dict[str, list[str]] = {}
    for finding, device in found:
        devices.setdefault(finding, []).append(device)
    return [f"{finding} ({', '.join(of_it)})" for finding, of_it in devices.items()]


def smallest_of_each_device(requests: Sequence[Made]) -> list[Made]:
    devices = dict.fromkeys(request.device for request in requests)
    return [min(of_device(requests, device), key=lambda request: request.size) for device in devices]


def shown(size: int) -> str:
    """A size for people."""
    if size % (KIB * KIB) == 0:
        return f"{size // (KIB * KIB)} MiB"
    return f"{size // KIB} KiB" if size % KIB == 0 else f"{size} B"
