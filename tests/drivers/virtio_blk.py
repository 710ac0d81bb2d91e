# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's virtio-blk driver, spoken through qtest.

One request is in flight at a time, and its data may lie at any guest-physical address: in RAM or in a BAR.
Names and numbers are those of the virtio 1.2 specification.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, RequestFailed, Segment
from drivers.virtio import BLOCK_DEVICE, Transport, VirtioMmio
from machines.qtest_client import QTest

FEATURE_FLUSH, FEATURE_DISCARD, FEATURE_WRITE_ZEROES = 1 << 9, 1 << 13, 1 << 14
REQUEST_IN, REQUEST_OUT, REQUEST_FLUSH, REQUEST_DISCARD, REQUEST_WRITE_ZEROES = 0, 1, 4, 11, 13
SECTOR = 512
HEADER_SIZE = 16
NO_STATUS_YET = 0xFF


class VirtioBlk:
    """A virtio-blk, reset and ready for requests: the given one, or the machine's first on virtio-mmio."""

    def __init__(self, qtest: QTest, transport: Transport | None = None, pages: Pages | None = None) -> None:
        self._qtest = qtest
        pages = pages or Pages(qtest)
        self._header = pages.take()
        self._status = self._header + HEADER_SIZE
        wanted = FEATURE_FLUSH | FEATURE_DISCARD | FEATURE_WRITE_ZEROES
        (self._queue,) = (transport or VirtioMmio(qtest, BLOCK_DEVICE)).set_up(wanted, 1, pages)

    def transfer(self, from_disk: bool, sector: int, data: Sequence[Segment], timeout: float = ANSWER_SECONDS) -> None:
        """Make one request, and wait until it is done.

        Raises RequestFailed if it is answered as failed, DeviceNeedsReset if the device refuses it as such.
        """
        if from_disk:
            self._request(REQUEST_IN, sector, [], data, timeout)
        else:
            self._request(REQUEST_OUT, sector, data, [], timeout)

    def flush(self, timeout: float = ANSWER_SECONDS) -> None:
        """All that was written before is on the disk."""
        self._request(REQUEST_FLUSH, 0, [], [], timeout)

    def write_zeroes(self, ranges: Segment, timeout: float = ANSWER_SECONDS) -> None:
        """Zero the sectors that sector_range() has described at `ranges`."""
        self._request(REQUEST_WRITE_ZEROES, 0, [ranges], [], timeout)

    def discard(self, ranges: Segment, timeout: float = ANSWER_SECONDS) -> None:
        """Give up the sectors that sector_range() has described at `ranges`."""
        self._request(REQUEST_DISCARD, 0, [ranges], [], timeout)

    def _request(
        self, kind: int, sector: int, out: Sequence[Segment], back: Sequence[Segment], timeout: float
    ) -> None:
        header = struct.pack("<IIQ", kind, 0, sector)
        self._qtest.write(self._header, header + bytes([NO_STATUS_YET]))
        self._queue.submit([Segment(self._header, HEADER_SIZE), *out], [*back, Segment(self._status, 1)])
        self._queue.wait(timeout)
        if status := self._qtest.read(self._status, 1)[0]:
            raise RequestFailed(f"virtio-blk answered with status {status}")


def sector_range(sector: int, count: int) -> bytes:
    """What the data of a discard or write zeroes request says."""
    return struct.pack("<QII", sector, count, 0)
