# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's virtio-blk driver over a modern virtio-mmio transport, spoken through qtest.

One request is in flight at a time, and its data may lie at any guest-physical address: in RAM or in a BAR.
Names and numbers are those of the virtio 1.2 specification.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from machines.qtest_client import EmulatorError, QTest

TRANSPORT = 0x0A00_0000
TRANSPORT_STRIDE = 0x200
TRANSPORTS = 32

# Registers of the transport.
MAGIC, VERSION, DEVICE_ID = 0x000, 0x004, 0x008
DRIVER_FEATURES, DRIVER_FEATURES_SEL = 0x020, 0x024
QUEUE_SEL, QUEUE_NUM, QUEUE_READY, QUEUE_NOTIFY = 0x030, 0x038, 0x044, 0x050
STATUS = 0x070
QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE = 0x080, 0x090, 0x0A0

MAGIC_VALUE = 0x7472_6976
MODERN = 2
BLOCK_DEVICE = 2
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, DEVICE_NEEDS_RESET = 1, 2, 4, 8, 0x40
VERSION_1_IN_UPPER_WORD = 1 << 0

DESC_NEXT, DESC_WRITE = 1, 2
REQUEST_IN, REQUEST_OUT = 0, 1
SECTOR = 512
QUEUE_SIZE = 64
NO_STATUS_YET = 0xFF

# The queue and the parts of a request that aren't data, in the inner machine's RAM.
RAM = 0x4000_0000
DESCRIPTORS, AVAILABLE, USED, HEADER, STATUS_BYTE = (RAM + page * 0x1000 for page in range(5))


@dataclass(frozen=True)
class Segment:
    """A part of a request's data: one descriptor."""

    address: int
    size: int


class RequestFailed(Exception):
    """The device has answered the request with a status that isn't success."""


class DeviceNeedsReset(Exception):
    """The device has given up the request, and itself with it."""


class VirtioBlk:
    """The first virtio-blk of the machine, reset and ready for requests."""

    def __init__(self, qtest: QTest) -> None:
        self._qtest = qtest
        self._base = self._find()
        self._submitted = 0
        self._set_up()

    def transfer(self, from_disk: bool, sector: int, data: Sequence[Segment], timeout: float = 30.0) -> None:
        """Make one request, and wait until it is done.

        Raises RequestFailed if it is answered as failed, DeviceNeedsReset if the device refuses it as such.
        """
        self._qtest.write(HEADER, struct.pack("<IIQ", REQUEST_IN if from_disk else REQUEST_OUT, 0, sector))
        self._qtest.write(STATUS_BYTE, bytes([NO_STATUS_YET]))
        chain = [(Segment(HEADER, 16), 0)]
        chain += [(segment, DESC_WRITE if from_disk else 0) for segment in data]
        chain += [(Segment(STATUS_BYTE, 1), DESC_WRITE)]
        last = len(chain) - 1
        table = b"".join(
            struct.pack("<QIHH", part.address, part.size, flags | (DESC_NEXT if i < last else 0), (i + 1) % QUEUE_SIZE)
            for i, (part, flags) in enumerate(chain)
        )
        self._qtest.write(DESCRIPTORS, table)
        self._submitted += 1
        # flags, index, and the ring: all its entries name descriptor 0.
        self._qtest.write(AVAILABLE, struct.pack("<HH", 0, self._submitted) + bytes(2 * QUEUE_SIZE))
        self._set(QUEUE_NOTIFY, 0)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            (used,) = struct.unpack("<H", self._qtest.read(USED + 2, 2))
            if used == self._submitted:
                if status := self._qtest.read(STATUS_BYTE, 1)[0]:
                    raise RequestFailed(f"virtio-blk answered with status {status}")
                return
            if self._get(STATUS) & DEVICE_NEEDS_RESET:
                raise DeviceNeedsReset
            time.sleep(0.001)
        raise EmulatorError(f"virtio-blk hasn't answered a request of {len(chain)} descriptors in {timeout:.0f} s")

    def _find(self) -> int:
        wanted = [MAGIC_VALUE, MODERN, BLOCK_DEVICE]
        for base in range(TRANSPORT, TRANSPORT + TRANSPORTS * TRANSPORT_STRIDE, TRANSPORT_STRIDE):
            if [self._qtest.read32(base + register) for register in (MAGIC, VERSION, DEVICE_ID)] == wanted:
                return base
        raise EmulatorError("the inner machine has no virtio-blk on a modern virtio-mmio transport")

    def _set_up(self) -> None:
        self._set(STATUS, 0)
        self._set(STATUS, ACKNOWLEDGE | DRIVER)
        for word, features in enumerate((0, VERSION_1_IN_UPPER_WORD)):
            self._set(DRIVER_FEATURES_SEL, word)
            self._set(DRIVER_FEATURES, features)
        self._set(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK)
        if not self._get(STATUS) & FEATURES_OK:
            raise EmulatorError("virtio-blk doesn't accept VERSION_1 as its only feature")
        self._qtest.write(DESCRIPTORS, bytes(STATUS_BYTE + 1 - DESCRIPTORS))
        self._set(QUEUE_SEL, 0)
        self._set(QUEUE_NUM, QUEUE_SIZE)
        for register, address in ((QUEUE_DESC, DESCRIPTORS), (QUEUE_DRIVER, AVAILABLE), (QUEUE_DEVICE, USED)):
            self._set(register, address & 0xFFFF_FFFF)
            self._set(register + 4, address >> 32)
        self._set(QUEUE_READY, 1)
        self._set(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)

    def _get(self, register: int) -> int:
        return self._qtest.read32(self._base + register)

    def _set(self, register: int, value: int) -> None:
        self._qtest.write32(self._base + register, value)
