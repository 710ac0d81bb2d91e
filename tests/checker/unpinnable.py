# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests with O_DIRECT, for which the kernel pins the pages of the data, into a BAR that it refuses to pin.

That is how it treats a BAR of a real device, which is why an emulator mustn't rely on it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from checker import peer, storage
from checker.denied import READ_ONLY_SIZE
from checker.findings import BLK, BLK_O_DIRECT, KIB, Limit, Request
from checker.machine import region_lines
from checker.places import LARGEST, OFFSET_IN_BAR
from checker.storage import Disk, Storage
from checker.subject import Subject
from machines.error import NotAvailable
from machines.o_direct import want_refusal

SIZES = (512, 4 * KIB, LARGEST)
# Small, as RLIMIT_MEMLOCK counts what is mapped of it. The emulator maps its beginning twice: BAR 2 is that, too.
MEMORY_SIZE = 2 * OFFSET_IN_BAR
MOST_MAPPED = MEMORY_SIZE + READ_ONLY_SIZE


def requests(subject: Subject, program: Path, folder: Path, limit: Limit | None) -> list[Request]:
    """One of each size that works without O_DIRECT, in both directions; NotAvailable says why there are none."""
    want_refusal(folder, MOST_MAPPED)
    at_home = folder / "unpinnable"
    at_home.mkdir()
    with (
        peer.running(program, at_home, peer.Memory(MEMORY_SIZE, has_holes=False, is_pinnable=False)) as served,
        Storage(subject, served, Disk(BLK, cache="none"), at_home) as disk,
    ):
        if not region_lines(disk.machine):
            said = disk.machine.messages().strip().partition("\n")[0]
            raise NotAvailable(f"the emulator doesn't map a BAR that the kernel refuses to pin: {said}")
        made = storage.all_sizes(disk, tuple(size for size in SIZES if not limit or size <= limit.works))
    return [replace(request, device=BLK_O_DIRECT) for request in made]
