# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's driver for LSI's SAS1068, spoken through qtest, for the disk that is target 0; one command at a time.

Names and numbers are those of Linux' drivers/message/fusion/lsi/mpi.h.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from drivers import pci
from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, RequestFailed, Segment, total, wait_until
from drivers.scsi_disk import ScsiDisk

REGISTER_BAR = 1
DOORBELL, INTERRUPT_STATUS, REQUESTS, REPLIES = 0x00, 0x30, 0x40, 0x44
UNIT_RESET, HANDSHAKE = 0x40 << 24, 0x42 << 24
IOC_INIT, WHO_INIT_HOST = 0x02, 0x04
IOC_INIT_WORDS, REPLY_HALFWORDS = 7, 10
NO_REPLY, IS_ADDRESS = 0xFFFF_FFFF, 1 << 31
REPLY_SIZE, SENSE_SIZE = 128, 96
CONTROL_WRITE, CONTROL_READ = 1 << 24, 2 << 24
SGE_SIMPLE, SGE_64_BIT, SGE_TO_DEVICE = 0x1000_0000, 0x0200_0000, 0x0400_0000
SGE_END = 0xC100_0000  # of the list, of the buffer, the last element


class MptSas(ScsiDisk):
    """The adapter in one slot, operational."""

    def __init__(self, function: pci.Function, window: pci.Window, pages: Pages) -> None:
        self._qtest = function.qtest
        self._registers = window.place(function, REGISTER_BAR).address
        self._request, self._reply, self._sense = pages.take(), pages.take(), pages.take()
        self._set(DOORBELL, UNIT_RESET)
        self._set(DOORBELL, HANDSHAKE | IOC_INIT_WORDS << 16)
        message = struct.pack("<BBBBBBBBIHHIII", WHO_INIT_HOST, 0, 0, IOC_INIT, 0, 8, 1, 0, 0, REPLY_SIZE, 0, 0, 0, 0)
        for (word,) in struct.iter_unpack("<I", message):
            self._set(DOORBELL, word)
        for _ in range(REPLY_HALFWORDS):
            self._get(DOORBELL)
        self._set(INTERRUPT_STATUS, 0)
        self._set(REPLIES, self._reply)
        self.power_on()

    def command(
        self, cdb: bytes, from_device: bool, data: Sequence[Segment], timeout: float = ANSWER_SECONDS
    ) -> None:
        control = 0 if not data else CONTROL_READ if from_device else CONTROL_WRITE
        request = struct.pack("<BBBBBBBBI8xI", 0, 0, 0, 0, len(cdb), SENSE_SIZE, 0, 0, 0, control)
        request += cdb.ljust(16, b"\0") + struct.pack("<II", total(data), self._sense)
        for part in data or [Segment(0, 0)]:
            flags = SGE_SIMPLE | SGE_64_BIT | (0 if from_device else SGE_TO_DEVICE)
            flags |= SGE_END if not data or part is data[-1] else 0
            request += struct.pack("<IQ", flags | part.size, part.address)
        self._qtest.write(self._request, request)
        self._set(REQUESTS, self._request)
        replies: list[int] = []

        def answered() -> bool:
            reply = self._get(REPLIES)
            if reply != NO_REPLY:
                replies.append(reply)
            return bool(replies)

        wait_until(answered, "the mptsas adapter", timeout)
        if replies[0] & IS_ADDRESS:
            status, state, ioc_status = struct.unpack("<BBH", self._qtest.read(self._reply + 12, 4))
            self._set(REPLIES, self._reply)
            sense = self._qtest.read(self._sense, 18).hex()
            raise RequestFailed(f"mptsas answered with {status}, {state}, {ioc_status:#x}, sense {sense}")

    def _get(self, register: int) -> int:
        return self._qtest.read32(self._registers + register)

    def _set(self, register: int, value: int) -> None:
        self._qtest.write32(self._registers + register, value)
