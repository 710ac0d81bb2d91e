# SPDX-License-Identifier: GPL-2.0-or-later
"""The combinations of the matrix, and what must become of each. Nothing here runs anything."""

from __future__ import annotations

from collections.abc import Sequence

from matrix.dimensions import (
    BLK,
    BLK_IOTHREAD,
    BOUNCE_BUFFER,
    CACHES,
    E1000E,
    ENGINES,
    FORMATS,
    IO_ERROR,
    LARGE_REQUESTS,
    LARGE_REQUESTS_ON,
    LIST,
    LIST_ODD,
    LOST_DEVICE,
    NO_ANSWER,
    NVME,
    O_DIRECT,
    ODD,
    OK,
    OTHER_REQUESTS,
    RAM_TO_UPPER,
    READ,
    RECEIVE,
    SCSI,
    STORAGE_DEVICES,
    STORAGE_REQUESTS,
    UPPER,
    USB,
    WRITE_ZEROES,
    WRONG,
    Case,
    Disk,
    Requests,
)
from matrix.places import bytes_in_bars
from matrix.stores import SHARE


def is_possible(cache: str, aio: str) -> bool:
    """Whether QEMU starts with this cache mode and this engine."""
    return aio != "native" or cache in O_DIRECT


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
    requests = STORAGE_REQUESTS + LARGE_REQUESTS if large else STORAGE_REQUESTS
    cases = [case for device in STORAGE_DEVICES for case in _cases(device, requests, disk)]
    return [case for case in cases if not _is_repetition(case)]


def other_cases() -> list[Case]:
    """Every request of every device that isn't storage with those disks."""
    cases = [case for device, requests in OTHER_REQUESTS.items() for case in _cases(device, requests, None)]
    return [case for case in cases if not _is_beyond_legacy_descriptors(case)]


def _cases(device: str, requests: Requests, disk: Disk | None) -> list[Case]:
    return [
        Case(device, operation, place, size, disk)
        for places, sizes, operations in requests
        for place in places
        for size in sizes
        for operation in operations
    ]


def _is_beyond_legacy_descriptors(case: Case) -> bool:
    """All receive buffers of an e1000e are of one size, and a packet goes to the next only when that is full."""
    return case.device == E1000E and case.operation == RECEIVE and case.place == LIST


def _is_repetition(case: Case) -> bool:
    """NVMe's write zeroes command has no data that could be here or there."""
    return case.device == NVME and case.operation == WRITE_ZEROES and case.place != UPPER


def expected(_: Case) -> str:
    """What must become of each case on the patched emulator."""
    return OK


def expected_of_stock(case: Case) -> str:
    """What becomes of a disk's request, in pieces of whole sectors, on stock, which bounces 4096 bytes in both BARs."""
    bounced = bytes_in_bars(case.place, case.size)
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


def expected_of_direct(case: Case) -> str | None:
    """The same of x-ram-device-direct=on where the kernel pins no page of the BARs; None if it may be anything.

    O_DIRECT wants them pinned. They needn't be pinned where QEMU copies: what a
    request is described by, usb-storage's data, and what lies at an odd address.
    """
    if case.disk is None or case.device == USB or case.operation == WRITE_ZEROES:
        return expected(case)
    if case.disk.store == SHARE:
        return None  # 9p pins the pages of larger requests, of any cache mode
    if case.disk.cache not in O_DIRECT or case.place in (*ODD, LIST_ODD):
        return OK
    # The part in RAM may be done, and the rest be asked for again, without end.
    return None if case.place == RAM_TO_UPPER else IO_ERROR
