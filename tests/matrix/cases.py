# SPDX-License-Identifier: GPL-2.0-or-later
"""The combinations of the matrix, and what must become of each. Nothing here runs anything."""

from __future__ import annotations

from collections.abc import Sequence

from dimensions import (
    BLK,
    BLK_IOTHREAD,
    BOUNCE_BUFFER,
    CACHES,
    CACHES_OF_NATIVE,
    E1000E,
    ENGINES,
    FORMATS,
    LARGE_REQUESTS,
    LARGE_REQUESTS_ON,
    LIST,
    LOST_DEVICE,
    LOST_PACKET,
    MEMORY,
    NO_ANSWER,
    NVME,
    OK,
    OTHER_REQUESTS,
    RAM_TO_MEMORY,
    READ,
    RECEIVE,
    REGISTER_TO_RAM,
    SCSI,
    SEND,
    STORAGE_DEVICES,
    STORAGE_REQUESTS,
    USB,
    WRITE_ZEROES,
    WRONG,
    Case,
    Disk,
)
from places import bytes_in_bars


def is_possible(cache: str, aio: str) -> bool:
    """Whether QEMU starts with this cache mode and this engine."""
    return aio != "native" or cache in CACHES_OF_NATIVE


def disks(store: str, formats: Sequence[str] = FORMATS, caches: Sequence[str] = CACHES) -> list[Disk]:
    """Every way to set up the disks whose images are in the store."""
    return [
        Disk(store, format, cache, aio)
        for format in formats
        for cache in caches
        for aio in ENGINES
        if is_possible(cache, aio)
    ]


def storage_cases(disk: Disk) -> list[Case]:
    """Every request of every storage device to such a disk."""
    large = (disk.format, disk.cache) == LARGE_REQUESTS_ON
    cases = [
        Case(device, operation, place, size, disk)
        for device in STORAGE_DEVICES
        for place, sizes, operations in (STORAGE_REQUESTS + LARGE_REQUESTS if large else STORAGE_REQUESTS)
        for size in sizes
        for operation in operations
    ]
    return [case for case in cases if not _is_repetition(case)]


def other_cases() -> list[Case]:
    """Every request of every device that isn't storage with those disks."""
    cases = [
        Case(device, operation, place, size, None)
        for device, requests in OTHER_REQUESTS.items()
        for place, sizes, operations in requests
        for size in sizes
        for operation in operations
    ]
    return [case for case in cases if not _is_beyond_legacy_descriptors(case)]


def _is_beyond_legacy_descriptors(case: Case) -> bool:
    """All receive buffers of an e1000e are of one size, and a packet goes to the next only when that is full."""
    return case.device == E1000E and case.operation == RECEIVE and case.place == LIST


def _is_repetition(case: Case) -> bool:
    """NVMe's write zeroes command has no data that could be here or there."""
    return case.device == NVME and case.operation == WRITE_ZEROES and case.place != MEMORY


def expected(case: Case) -> str:
    """What must become of the case on the patched emulator: it succeeds."""
    # An e1000e maps a descriptor's data once, and a mapping ends with the region.
    is_cut = case.device == E1000E and case.operation == SEND and case.place in (RAM_TO_MEMORY, REGISTER_TO_RAM)
    return LOST_PACKET if is_cut else OK


def expected_of_stock(case: Case) -> str:
    """What becomes of a disk's request, in pieces of whole sectors, on stock, which bounces 4096 bytes in both BARs."""
    bounced = sum(bytes_in_bars(case.place, case.size))
    if case.operation == WRITE_ZEROES:  # its data is no larger than a sector
        return OK
    if case.device in (BLK, BLK_IOTHREAD):
        return LOST_DEVICE if bounced > BOUNCE_BUFFER else OK
    if case.device == USB:
        return NO_ANSWER if bounced > BOUNCE_BUFFER else OK
    if case.device == SCSI:
        # QEMU maps the data twice: when it takes the request off the queue, and to let the disk access it.
        if bounced > BOUNCE_BUFFER:
            return LOST_DEVICE
        if 2 * bounced > BOUNCE_BUFFER:
            return NO_ANSWER
        # The mapping that the disk hasn't seen is unmapped last: its bounce buffer overwrites what has been read.
        return WRONG if bounced and case.operation == READ else OK
    # NVMe's data goes through the bounce buffer piece by piece.
    return OK
