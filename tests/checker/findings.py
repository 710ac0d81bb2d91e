# SPDX-License-Identifier: GPL-2.0-or-later
"""What the checker finds out about an emulator, and what that means for whoever uses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

KIB = 1024
OK, WRONG, IO_ERROR, LOST_DEVICE = "ok", "wrong contents", "I/O error", "device lost"
NO_ANSWER, LOST_EMULATOR = "no answer", "emulator lost"
TO_BAR, FROM_BAR = "to BAR", "from BAR"
DIRECTIONS = (TO_BAR, FROM_BAR)
BLK, SCSI, NVME, NET = "virtio-blk", "virtio-scsi", "nvme", "virtio-net"
RAISED = "x-max-bounce-buffer-size=1G,disable-legacy=on,iommu_platform=on"
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
    raised_bounce_buffer: list[Request] = field(default_factory=list)
    o_direct: list[Request] = field(default_factory=list)
    o_direct_not_checked: str = ""
    checks: list[Check] = field(default_factory=list)
    speed: Speed | None = None

    def failed(self) -> list[Request]:
        return [request for request in [*self.requests, *self.o_direct] if request.verdict != OK]

    def failed_checks(self) -> list[Check]:
        return [check for check in self.checks if check.is_ok is False]

    @property
    def status(self) -> int:
        """The checker's exit status."""
        return AFFECTED if self.failed() or self.failed_checks() else FINE

    @property
    def verdict(self) -> str:
        """One sentence."""
        name = f"QEMU {self.version} ({self.architecture})"
        ways = []
        if devices := list(dict.fromkeys(request.device for request in self.failed())):
            failures = ", ".join(self._first_failure(device) for device in devices)
            ways.append(f"DMA of emulated devices into a passed-through BAR fails: {failures}")
        ways += [f"{check.name}: {check.found}" for check in self.failed_checks()]
        if ways:
            return f"{name} is affected: {'; '.join(ways)}."
        sizes = [request.size for request in self.requests]
        return (f"{name} is fine: every request of {shown(min(sizes))} to {shown(max(sizes))} into a passed-through BAR"
                " worked, with equal contents on both sides.")  # fmt: skip

    def _first_failure(self, device: str) -> str:
        first = min(of_device(self.failed(), device), key=lambda request: request.size)
        size = self.limit.fails if self.limit and device == BLK else first.size
        return f"{device} from {size} bytes on ({first.verdict})"

    @property
    def remedy(self) -> str:
        """What whoever uses an affected emulator can do."""
        if not self.failed():
            return "" if not self.failed_checks() else "None known: look at the lines that failed."
        ways = ["use a QEMU with this repository's series"]
        outcomes: dict[str, set[str]] = {}
        for request in self.raised_bounce_buffer:
            outcomes.setdefault(request.device, set()).add(request.verdict)
        helped = [device for device, verdicts in outcomes.items() if verdicts == {OK}]
        if helped:
            ways.append(f"or set {RAISED} on each {' and '.join(helped)} (all data is copied once more)")
            ways += [f"which does not help {device} ({', '.join(sorted(verdicts - {OK}))})"
                     for device, verdicts in outcomes.items() if device not in helped]  # fmt: skip
        return f"Remedy: {', '.join(ways)}."


def of_device(requests: Sequence[Request], device: str) -> list[Request]:
    return [request for request in requests if request.device == device]


def shown(size: int) -> str:
    """A size for people."""
    if size % (KIB * KIB) == 0:
        return f"{size // (KIB * KIB)} MiB"
    return f"{size // KIB} KiB" if size % KIB == 0 else f"{size} B"
