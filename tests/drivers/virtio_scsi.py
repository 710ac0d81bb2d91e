# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's virtio-scsi driver, spoken through qtest, for the disk that is target 0, LUN 0.

One command is in flight at a time. Names and numbers are those of the virtio 1.2 specification and of SBC-3.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, RequestFailed, Segment, total
from drivers.virtio import Transport

QUEUES, REQUEST_QUEUE = 3, 2
CDB_SIZE, SENSE_SIZE = 32, 96
REQUEST_SIZE, RESPONSE_SIZE = 19 + CDB_SIZE, 12 + SENSE_SIZE
LUN_0_OF_TARGET_0 = bytes([1, 0, 0x40, 0, 0, 0, 0, 0])
RESPONSE_OK = 0
GOOD = 0

TEST_UNIT_READY, SYNCHRONIZE_CACHE_10, READ_16, WRITE_16, WRITE_SAME_16 = 0x00, 0x35, 0x88, 0x8A, 0x93
BLOCK = 512


class VirtioScsi:
    """A virtio-scsi controller, reset and ready for commands to its disk."""

    def __init__(self, transport: Transport, pages: Pages) -> None:
        self._qtest = transport.qtest
        self._request = pages.take()
        self._response = self._request + 256
        self._queue = transport.set_up(0, QUEUES, pages)[REQUEST_QUEUE]
        # A disk reports its power-on to the first command.
        try:
            self._command(struct.pack(">B5x", TEST_UNIT_READY), [], [], ANSWER_SECONDS)
        except RequestFailed:
            self._command(struct.pack(">B5x", TEST_UNIT_READY), [], [], ANSWER_SECONDS)

    def transfer(self, from_disk: bool, block: int, data: Sequence[Segment], timeout: float = ANSWER_SECONDS) -> None:
        """Read or write, and wait until it is done."""
        cdb = struct.pack(">BBQIBB", READ_16 if from_disk else WRITE_16, 0, block, total(data) // BLOCK, 0, 0)
        if from_disk:
            self._command(cdb, [], data, timeout)
        else:
            self._command(cdb, data, [], timeout)

    def flush(self, timeout: float = ANSWER_SECONDS) -> None:
        self._command(struct.pack(">B9x", SYNCHRONIZE_CACHE_10), [], [], timeout)

    def write_same(self, block: int, count: int, pattern: Segment, timeout: float = ANSWER_SECONDS) -> None:
        """Write the one block at `pattern` to all these blocks; a block of zeroes makes it a write zeroes request."""
        self._command(struct.pack(">BBQIBB", WRITE_SAME_16, 0, block, count, 0, 0), [pattern], [], timeout)

    def _command(self, cdb: bytes, out: Sequence[Segment], back: Sequence[Segment], timeout: float) -> None:
        head = LUN_0_OF_TARGET_0 + struct.pack("<QBBB", 0, 0, 0, 0) + cdb.ljust(CDB_SIZE, b"\0")
        self._qtest.write(self._request, head)
        self._qtest.write(self._response, bytes([0xFF]) * 12)
        self._queue.submit(
            [Segment(self._request, REQUEST_SIZE), *out], [Segment(self._response, RESPONSE_SIZE), *back]
        )
        self._queue.wait(timeout)
        status, response = self._qtest.read(self._response + 10, 2)
        if response != RESPONSE_OK or status != GOOD:
            sense = self._qtest.read(self._response + 12, 18).hex()
            raise RequestFailed(f"virtio-scsi answered with response {response}, status {status}, sense {sense}")
