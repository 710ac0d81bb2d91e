# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's virtio-scsi driver, spoken through qtest, for the disk that is target 0, LUN 0.

One command is in flight at a time. Names and numbers are those of the virtio 1.2 specification.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, RequestFailed, Segment
from drivers.scsi_disk import ScsiDisk
from drivers.virtio import Transport

QUEUES, REQUEST_QUEUE = 3, 2
CDB_SIZE, SENSE_SIZE = 32, 96
REQUEST_SIZE, RESPONSE_SIZE = 19 + CDB_SIZE, 12 + SENSE_SIZE
LUN_0_OF_TARGET_0 = bytes([1, 0, 0x40, 0, 0, 0, 0, 0])
RESPONSE_OK = 0
GOOD = 0


class VirtioScsi(ScsiDisk):
    """A virtio-scsi controller, reset and ready for commands to its disk."""

    def __init__(self, transport: Transport, pages: Pages) -> None:
        self._qtest = transport.qtest
        self._request = pages.take()
        self._response = self._request + 256
        self._queue = transport.set_up(0, QUEUES, pages)[REQUEST_QUEUE]
        self.power_on()

    def command(
        self, cdb: bytes, from_device: bool, data: Sequence[Segment], timeout: float = ANSWER_SECONDS
    ) -> None:
        self.begin(cdb, from_device, data)
        self._queue.wait(timeout)
        status, response = self._qtest.read(self._response + 10, 2)
        if response != RESPONSE_OK or status != GOOD:
            sense = self._qtest.read(self._response + 12, 18).hex()
            raise RequestFailed(f"virtio-scsi answered with response {response}, status {status}, sense {sense}")

    def begin(self, cdb: bytes, from_device: bool, data: Sequence[Segment]) -> None:
        """Give the controller a command."""
        out, back = ([], data) if from_device else (data, [])
        head = LUN_0_OF_TARGET_0 + struct.pack("<QBBB", 0, 0, 0, 0) + cdb.ljust(CDB_SIZE, b"\0")
        self._qtest.write(self._request, head)
        self._qtest.write(self._response, bytes([0xFF]) * 12)
        self._queue.submit(
            [Segment(self._request, REQUEST_SIZE), *out], [Segment(self._response, RESPONSE_SIZE), *back]
        )
