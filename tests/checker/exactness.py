# SPDX-License-Identifier: GPL-2.0-or-later
"""What the device sees of accesses to the parts that aren't mapped: BAR 0, and the hole in BAR 4."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from checker.findings import KIB, Check
from checker.machine import Machine
from checker.peer import MEMORY_BAR, REGISTER_BAR, Access
from checker.storage import Storage
from drivers.request import DeviceNeedsReset, RequestFailed, Segment
from machines.qtest_client import EmulatorError

WIDTHS = {1: "b", 2: "w", 4: "l", 8: "q"}
VALUE = bytes(range(0xA1, 0xA9))
# A register of 64 bits that can be written.
SOURCE_REGISTER = 0x10
DMA_SIZE = 1 * KIB
DMA_OFFSETS = (0, 8 * KIB + 3)


def by_processor(machine: Machine) -> list[Check]:
    """Each width at each aligned place within 8 bytes."""
    places = (
        ("registers (BAR 0)", REGISTER_BAR, machine.registers, SOURCE_REGISTER),
        ("hole in BAR 4", MEMORY_BAR, machine.memory, machine.peer.hole),
    )
    checks = []
    for name, bar, base, first in places:
        wrong = []
        for width, letter in WIDTHS.items():
            for offset in range(first, first + 8, width):
                for kind in ("write", "read"):
                    value = f" {int.from_bytes(VALUE[:width], 'little'):#x}" if kind == "write" else ""
                    machine.peer.new_accesses()
                    machine.qtest.command(f"{kind}{letter} {base + offset:#x}{value}")
                    seen = machine.peer.new_accesses()
                    if seen != [Access(bar, kind, offset, width, VALUE[:width].hex())]:
                        wrong.append(f"{kind} of {width} bytes at {offset % 8}: the device saw {summary(seen)}")
        found = "; ".join(wrong[:2]) or "each access of 1, 2, 4 and 8 bytes arrives as it was made"
        checks.append(Check(f"accesses of the CPU to the {name}", not wrong, found))
    return checks


def by_dma(storage: Storage) -> Check:
    """virtio-blk requests of 1 KiB, at an aligned and at an odd place in the hole."""
    name = "accesses of DMA to the hole in BAR 4"
    machine, wrong = storage.machine, []
    widths: Counter[int] = Counter()
    for offset in DMA_OFFSETS:
        begin = machine.peer.hole + offset
        for from_disk in (True, False):
            machine.peer.new_accesses()
            try:
                storage.transfer(from_disk, Segment(machine.memory + begin, DMA_SIZE))
            except (EmulatorError, DeviceNeedsReset, RequestFailed) as failed:
                return Check(name, False, f"a request of {DMA_SIZE} bytes failed: {failed!r}")
            seen = machine.peer.new_accesses()
            widths.update(access.size for access in seen)
            if why := flaw(seen, begin, "write" if from_disk else "read"):
                wrong.append(f"at offset {begin % 8} of 8: {why}")
    if wrong:
        return Check(name, False, "; ".join(wrong))
    shown = ", ".join(f"{count} of {width}" for width, count in sorted(widths.items(), reverse=True))
    return Check(name, True, f"aligned, each byte once, ascending ({shown} bytes)")


def flaw(seen: Sequence[Access], begin: int, kind: str) -> str:
    """How the accesses of a request aren't aligned, each byte once, in ascending order."""
    at = begin
    for access in seen:
        if access.bar != MEMORY_BAR or access.kind != kind:
            return f"a {access.kind} of BAR {access.bar} among {kind}s"
        if access.offset != at:
            return f"an access at {access.offset - begin} where {at - begin} is next"
        if access.offset % access.size:
            return f"an access of {access.size} bytes at {access.offset % 8} of 8"
        at += access.size
    return "" if at == begin + DMA_SIZE else f"{at - begin} bytes instead of {DMA_SIZE}"


def summary(seen: Sequence[Access]) -> str:
    return ", ".join(f"a {access.kind} of {access.size} at {access.offset % 8}" for access in seen) or "nothing"
