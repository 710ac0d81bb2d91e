# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's driver for the MegaRAID SAS adapter, spoken through qtest, for logical disk 0; one command at a time.

Names and numbers are those of Linux' drivers/scsi/megaraid/megaraid_sas.h.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from drivers import pci
from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, RequestFailed, Segment, total, wait_until
from drivers.scsi_disk import ScsiDisk

REGISTER_BAR = 0
INTERRUPT_MASK, INBOUND_QUEUE = 0x34, 0x40
INIT, LOGICAL_DISK_SCSI = 0x00, 0x03
SGL_64, SENSE_64, TO_DEVICE, FROM_DEVICE = 0x02, 0x04, 0x08, 0x10
NO_STATUS_YET, OK = 0xFF, 0x00
REPLY_QUEUE_ENTRIES = 8
SENSE_SIZE = 96
STATUS = 2


class MegaSas(ScsiDisk):
    """The adapter in one slot, its firmware initialised."""

    def __init__(self, function: pci.Function, window: pci.Window, pages: Pages) -> None:
        self._qtest = function.qtest
        self._registers = window.place(function, REGISTER_BAR).address
        self._frame, queues, self._sense = pages.take(), pages.take(), pages.take()
        self._qtest.write32(self._registers + INTERRUPT_MASK, 0)
        replies, producer, consumer = queues + 0x100, queues + 0x80, queues + 0x88
        self._qtest.write(queues, struct.pack("<IIQQQ", 0, REPLY_QUEUE_ENTRIES, replies, producer, consumer))
        self._execute(_header(INIT, 0, 0, 0, 32) + struct.pack("<Q", queues), ANSWER_SECONDS)
        self.power_on()

    def command(
        self, cdb: bytes, from_device: bool, data: Sequence[Segment], timeout: float = ANSWER_SECONDS
    ) -> None:
        # The adapter wants a list of buffers even where there is no data.
        parts = list(data) or [Segment(self._sense, 1)]
        flags = SGL_64 | SENSE_64 | (0 if not data else FROM_DEVICE if from_device else TO_DEVICE)
        sgl = b"".join(struct.pack("<QI", part.address, part.size) for part in parts)
        header = _header(LOGICAL_DISK_SCSI, len(cdb), len(parts), flags, total(data))
        self._execute(header + struct.pack("<Q", self._sense) + cdb.ljust(16, b"\0") + sgl, timeout)

    def _execute(self, frame: bytes, timeout: float) -> None:
        self._qtest.write(self._frame, frame)
        self._qtest.write32(self._registers + INBOUND_QUEUE, self._frame)
        at = self._frame + STATUS
        wait_until(lambda: self._qtest.read8(at) != NO_STATUS_YET, "the megasas adapter", timeout)
        status, scsi_status = self._qtest.read(at, 2)
        if status != OK:
            sense = self._qtest.read(self._sense, 18).hex()
            raise RequestFailed(f"megasas answered with status {status:#x}, {scsi_status}, sense {sense}")


def _header(command: int, cdb_size: int, segments: int, flags: int, data_size: int) -> bytes:
    """The beginning of a frame; target 0, LUN 0."""
    return struct.pack(
        "<BBBBBBBBQHHI", command, SENSE_SIZE, NO_STATUS_YET, 0, 0, 0, cdb_size, segments, 0, flags, 0, data_size
    )
