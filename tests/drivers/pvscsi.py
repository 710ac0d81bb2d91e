# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's driver for VMware's paravirtual SCSI adapter, spoken through qtest; one command is in flight at a time.

Names and numbers are those of Linux' drivers/scsi/vmw_pvscsi.h.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from drivers import pci
from drivers.pages import PAGE, Pages
from drivers.request import ANSWER_SECONDS, RequestFailed, Segment, total, wait_until
from drivers.scsi_disk import ScsiDisk

REGISTER_BAR = 0
COMMAND, COMMAND_DATA, KICK = 0x0, 0x4, 0x3014
RESET, SETUP_RINGS = 1, 3
MOST_RING_PAGES = 32
REQUESTS_PRODUCED, ANSWERS_PRODUCED, ANSWERS_CONSUMED = 0, 12, 16
REQUEST_SIZE, ANSWER_SIZE = 128, 32
REQUESTS, ANSWERS = PAGE // REQUEST_SIZE, PAGE // ANSWER_SIZE
NO_DATA, TO_HOST, TO_DEVICE = 1 << 2, 1 << 3, 1 << 4
SENSE_SIZE = 96


class PvScsi(ScsiDisk):
    """The adapter in one slot."""

    def __init__(self, function: pci.Function, window: pci.Window, pages: Pages) -> None:
        self._qtest = function.qtest
        self._registers = window.place(function, REGISTER_BAR).address
        self._state, self._requests, self._answers, self._sense = (pages.take() for _ in range(4))
        self._done = 0
        self.reset()
        self._qtest.write32(self._registers + COMMAND, SETUP_RINGS)
        rings = [self._requests // PAGE, *[0] * (MOST_RING_PAGES - 1)]
        rings += [self._answers // PAGE, *[0] * (MOST_RING_PAGES - 1)]
        description = struct.pack(f"<IIQ{len(rings)}Q", 1, 1, self._state // PAGE, *rings)
        for (word,) in struct.iter_unpack("<I", description):
            self._qtest.write32(self._registers + COMMAND_DATA, word)
        self.power_on()

    def reset(self) -> None:
        """Reset the adapter, which forgets its rings."""
        self._qtest.write32(self._registers + COMMAND, RESET)

    def command(
        self, cdb: bytes, from_device: bool, data: Sequence[Segment], timeout: float = ANSWER_SECONDS
    ) -> None:
        answer = self.begin(cdb, from_device, data)
        wait_until(
            lambda: self._qtest.read32(self._state + ANSWERS_PRODUCED) == self._done, "the pvscsi adapter", timeout
        )
        self._qtest.write32(self._state + ANSWERS_CONSUMED, self._done)
        host, status = struct.unpack("<HH", self._qtest.read(answer + 20, 4))
        if host or status:
            sense = self._qtest.read(self._sense, 18).hex()
            raise RequestFailed(f"pvscsi answered with host status {host}, status {status}, sense {sense}")

    def begin(self, cdb: bytes, from_device: bool, data: Sequence[Segment]) -> int:
        """Give the adapter a command; where its answer will be."""
        flags = NO_DATA
        address = 0
        if data:
            (buffer,) = data
            flags, address = TO_HOST if from_device else TO_DEVICE, buffer.address
        head = struct.pack("<QQQQII", 1, address, total(data), self._sense, SENSE_SIZE, flags)
        request = head + cdb.ljust(16, b"\0") + struct.pack("<B", len(cdb))
        self._qtest.write(self._requests + REQUEST_SIZE * (self._done % REQUESTS), request.ljust(REQUEST_SIZE, b"\0"))
        answer = self._answers + ANSWER_SIZE * (self._done % ANSWERS)
        self._done += 1
        self._qtest.write32(self._state + REQUESTS_PRODUCED, self._done)
        self._qtest.write32(self._registers + KICK, 0)
        return answer
