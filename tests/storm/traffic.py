# SPDX-License-Identifier: GPL-2.0-or-later
"""What every kind of traffic in a storm can do, and what is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass
class Counts:
    """Requests by their answers; `wrong` says where contents weren't what the answers promise.

    `given_up` are batches that the device refused as a whole: it wanted a reset, and got it. `lost` is what was written
    into the BAR when it was gone: answers, and what has been read.
    """

    ok: int = 0
    error: int = 0
    given_up: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)

    def trouble(self) -> tuple[int, ...]:
        """What doesn't grow while the BAR stays."""
        return self.error, self.given_up, self.lost, len(self.wrong)


class Traffic(Protocol):
    """Requests that are made batch by batch."""

    counts: Counts

    def submit(self) -> None:
        """Set a batch going; the BAR is there."""

    def hold(self) -> None:
        """Let what is submitted from now on stay without an answer."""

    def let_go(self) -> None:
        """Let what is held be answered."""

    def is_taken(self) -> bool:
        """Whether the device knows of the whole batch; until then the BAR stays."""

    def is_answered(self) -> bool:
        """Whether the whole batch is; DeviceNeedsReset if the device has given up."""

    def collect(self) -> None:
        """Count the batch's answers, and look at the contents; the BAR is there."""

    def start_anew(self) -> None:
        """Reset the device, and forget the batch."""
