# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host and the script in the outer VM agree on: the emulators, the markers, the disk's layout."""

from __future__ import annotations

from dataclasses import dataclass

from device_side.accesses import ALIGNMENTS, SECTOR, WIDTHS, WRITE_AREA, Action, requests
from device_side.outer_trace import Access

PLAN_FILE, RESULTS_FILE, DISK_FILE, TRACE_FILE = "plan.json", "results.jsonl", "disk.img", "trace.log"
NVME, MEMORY_BAR = (0x1B36, 0x0010), 2
STOCK, PATCHED, DIRECT = "stock", "patched", "patched, direct"
# The place of the bare instructions among the emulators, for their markers; and the bytes that they access.
INSTRUCTIONS, INSTRUCTIONS_AT = -1, WRITE_AREA
# What is done before the first action, as an action's number: the device comes, and its machine is reset.
STARTED = 0
LARGEST_REQUEST = 8 * SECTOR


@dataclass(frozen=True)
class Machine:
    """An inner emulator, and how its vfio-pci is to be set."""

    name: str
    emulator: str
    properties: str


def marker(place: int, number: int) -> int:
    """The number in the trace that says whose action follows, and which."""
    return place + 2 << 32 | number


def instructions() -> list[Access]:
    """Every width at every alignment, loaded and stored."""
    return [
        Access(INSTRUCTIONS_AT + at, width, store) for width in WIDTHS for at in ALIGNMENTS for store in (False, True)
    ]


def first_sector(place: int, request: Action) -> int:
    """Where a request's data is on the disk; no two requests of any emulators share a sector."""
    return (place * len(requests()) + request.number - requests()[0].number) * (LARGEST_REQUEST // SECTOR)


def disk_size(machines: int) -> int:
    return machines * len(requests()) * LARGEST_REQUEST
