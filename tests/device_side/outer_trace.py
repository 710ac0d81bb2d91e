# SPDX-License-Identifier: GPL-2.0-or-later
"""What the device sees: the outer emulator's trace of its accesses, cut at the markers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from device_side.accesses import BAR_SIZE, MARKER, NO_ACTION
from machines.error import MachineError

REGION = "nvme-cmb"
EVENTS = ("memory_region_ops_read", "memory_region_ops_write")
LINE = re.compile(rf"memory_region_ops_(read|write) .* addr 0x(\w+) value 0x(\w+) size (\d+) name '{REGION}'")


class Access(NamedTuple):
    """One load or store."""

    offset: int
    width: int
    store: bool


class Seen(NamedTuple):
    """One access that arrived at the device, and the bytes that it moved."""

    access: Access
    data: bytes


def arguments(log: Path) -> list[str]:
    """The outer emulator's options that make it write the trace; all it traces costs no time worth speaking of."""
    return ["-D", str(log), *(word for event in EVENTS for word in ("-trace", event))]


def read(log: Path) -> dict[int, list[Seen]]:
    """What was seen after each marker, in order; not what came before the first one or after NO_ACTION."""
    found: dict[int, list[Seen]] = {}
    marker = NO_ACTION
    with log.open(errors="replace") as lines:
        for line in lines:
            if not (match := LINE.search(line)):
                continue
            # The BAR is aligned to its size.
            access = Access(int(match[2], 16) % BAR_SIZE, int(match[4]), match[1] == "write")
            value = int(match[3], 16)
            if access == Access(MARKER, 8, store=True):
                marker = value
                if marker in found:
                    raise MachineError(f"{log}: marker {marker:#x} is there twice")
                if marker != NO_ACTION:
                    found[marker] = []
            elif marker != NO_ACTION:
                found[marker].append(Seen(access, value.to_bytes(8, "little")[: access.width]))
    if not found:
        raise MachineError(f"{log} has no marked access to {REGION}: has the outer emulator the trace backend `log`?")
    return found
