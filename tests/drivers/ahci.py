# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's AHCI driver, spoken through qtest, for the ATA disk of the first port.

One command is in flight at a time, in slot 0. Names and numbers are those of AHCI 1.3.1 and of ACS-3.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import Enum

from drivers import pci
from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, RequestFailed, Segment, total, wait_until

REGISTER_BAR = 5
GLOBAL_CONTROL, AHCI_ENABLE = 0x04, 1 << 31
PORT = 0x100
LIST_ADDRESS, FIS_ADDRESS, INTERRUPT_STATUS, COMMAND = 0x00, 0x08, 0x10, 0x18
TASK_FILE, LINK_CONTROL, ERRORS, ACTIVE, ISSUE = 0x20, 0x2C, 0x30, 0x34, 0x38
LINK_RESET = 1
START, RECEIVE_FIS, TASK_FILE_ERROR = 1 << 0, 1 << 4, 1 << 30

HEADER_WRITE, FIS_DWORDS, PRDT = 1 << 6, 5, 0x80
HOST_TO_DEVICE, IS_COMMAND, LBA_MODE = 0x27, 0x80, 0x40
DATA_SET_MANAGEMENT, TRIM, FLUSH_EXT = 0x06, 1, 0xEA
BLOCK = 512


class Protocol(Enum):
    """How an ATA command moves its data: the opcodes that read and write."""

    DMA = (0x25, 0x35)
    PIO = (0x24, 0x34)
    QUEUED = (0x60, 0x61)


class Ahci:
    """The controller in one slot; transfer() moves data by one protocol."""

    def __init__(self, function: pci.Function, window: pci.Window, pages: Pages, protocol: Protocol) -> None:
        self._qtest = function.qtest
        self._protocol = protocol
        registers = window.place(function, REGISTER_BAR).address
        self._port = registers + PORT
        self._list, self._table, received = pages.take(), pages.take(), pages.take()
        self._qtest.write32(registers + GLOBAL_CONTROL, AHCI_ENABLE)
        for register, address in ((LIST_ADDRESS, self._list), (FIS_ADDRESS, received)):
            self._set(register, address & 0xFFFF_FFFF)
            self._set(register + 4, address >> 32)
        self._set(COMMAND, RECEIVE_FIS | START)

    def transfer(self, from_disk: bool, block: int, data: Sequence[Segment], timeout: float = ANSWER_SECONDS) -> None:
        """Read or write, and wait until it is done."""
        command = self._protocol.value[0 if from_disk else 1]
        count = total(data) // BLOCK
        if self._protocol is Protocol.QUEUED:
            self._execute(command, count, block, 0, data, not from_disk, timeout)
        else:
            self._execute(command, 0, block, count, data, not from_disk, timeout)

    def flush(self, timeout: float = ANSWER_SECONDS) -> None:
        self._execute(FLUSH_EXT, 0, 0, 0, [], False, timeout)

    def trim(self, ranges: Segment, timeout: float = ANSWER_SECONDS) -> None:
        """Give up the sectors that are described in these blocks, eight bytes a range."""
        self._execute(DATA_SET_MANAGEMENT, TRIM, 0, ranges.size // BLOCK, [ranges], True, timeout)

    def _execute(
        self, command: int, features: int, block: int, count: int, data: Sequence[Segment], is_write: bool,
        timeout: float,
    ) -> None:  # fmt: skip
        lba = struct.pack("<Q", block)
        head = [HOST_TO_DEVICE, IS_COMMAND, command, features & 0xFF]
        fis = bytes([*head, *lba[:3], LBA_MODE, *lba[3:6], features >> 8])
        self._qtest.write(self._table, fis + struct.pack("<H6x", count))
        table = b"".join(struct.pack("<Q4xI", part.address, part.size - 1) for part in data)
        self._qtest.write(self._table + PRDT, table or bytes(16))
        options = FIS_DWORDS | (HEADER_WRITE if is_write else 0)
        self._qtest.write(self._list, struct.pack("<HHIQ", options, len(data), 0, self._table))
        if queued := command in Protocol.QUEUED.value:
            self._set(ACTIVE, 1)
        self._set(ISSUE, 1)

        def done() -> bool:
            under_way = self._get(ACTIVE if queued else ISSUE) & 1
            return not under_way or bool(self._get(INTERRUPT_STATUS) & TASK_FILE_ERROR)

        wait_until(done, "the AHCI port", timeout)
        failed, task_file = self._get(INTERRUPT_STATUS) & TASK_FILE_ERROR, self._get(TASK_FILE)
        if failed:
            self._reset_port()
            raise RequestFailed(f"the AHCI port answered with task file {task_file:#x}")

    def _reset_port(self) -> None:
        """Forget the command that has failed, and the error, as drivers do."""
        self._set(COMMAND, RECEIVE_FIS)
        self._set(LINK_CONTROL, LINK_RESET)
        self._set(LINK_CONTROL, 0)
        self._set(ERRORS, 0xFFFF_FFFF)
        self._set(INTERRUPT_STATUS, 0xFFFF_FFFF)
        self._set(COMMAND, RECEIVE_FIS | START)

    def _get(self, register: int) -> int:
        return self._qtest.read32(self._port + register)

    def _set(self, register: int, value: int) -> None:
        self._qtest.write32(self._port + register, value)


def trim_ranges(ranges: Sequence[tuple[int, int]]) -> bytes:
    """The entries of TRIM's data: first sectors and counts."""
    return b"".join(struct.pack("<Q", count << 48 | sector) for sector, count in ranges)
