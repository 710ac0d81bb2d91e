# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's driver for a SCSI disk, whichever host adapter carries the commands.

Names and numbers are those of SBC-3.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence

from drivers.request import ANSWER_SECONDS, RequestFailed, Segment, total

TEST_UNIT_READY, INQUIRY, SYNCHRONIZE_CACHE_10, UNMAP = 0x00, 0x12, 0x35, 0x42
MODE_SELECT_10, MODE_SENSE_10 = 0x55, 0x5A
READ_16, WRITE_16, WRITE_SAME_16 = 0x88, 0x8A, 0x93
PAGE_FORMAT = 0x10
BLOCK = 512
MODE_HEADER_10 = 8


class ScsiDisk(ABC):
    """The disk that is target 0, LUN 0 of a host adapter."""

    @abstractmethod
    def command(
        self, cdb: bytes, from_device: bool, data: Sequence[Segment], timeout: float = ANSWER_SECONDS
    ) -> None:
        """Carry out one command, and wait until it is done."""

    def power_on(self) -> None:
        """A disk reports its power-on to the first command."""
        try:
            self.command(struct.pack(">B5x", TEST_UNIT_READY), False, [])
        except RequestFailed:
            self.command(struct.pack(">B5x", TEST_UNIT_READY), False, [])

    def transfer(self, from_disk: bool, block: int, data: Sequence[Segment], timeout: float = ANSWER_SECONDS) -> None:
        """Read or write, and wait until it is done."""
        self.command(transfer_command(from_disk, block, total(data)), from_disk, data, timeout)

    def flush(self, timeout: float = ANSWER_SECONDS) -> None:
        self.command(struct.pack(">B9x", SYNCHRONIZE_CACHE_10), False, [], timeout)

    def write_same(self, block: int, count: int, pattern: Segment, timeout: float = ANSWER_SECONDS) -> None:
        """Write the one block at `pattern` to all these blocks; a block of zeroes makes it a write zeroes request."""
        self.command(struct.pack(">BBQIBB", WRITE_SAME_16, 0, block, count, 0, 0), False, [pattern], timeout)

    def unmap(self, parameters: Segment) -> None:
        """Give up the blocks that unmap_list() has described there."""
        self.command(struct.pack(">B6xHx", UNMAP, parameters.size), False, [parameters])

    def mode_select(self, parameters: Segment) -> None:
        self.command(struct.pack(">BB5xHx", MODE_SELECT_10, PAGE_FORMAT, parameters.size), False, [parameters])

    def mode_sense(self, page: int, into: Segment) -> None:
        self.command(struct.pack(">BBB4xHx", MODE_SENSE_10, 0x08, page, into.size), True, [into])

    def inquiry(self, into: Segment) -> None:
        self.command(struct.pack(">BBBHx", INQUIRY, 0, 0, into.size), True, [into])


def transfer_command(from_disk: bool, block: int, size: int) -> bytes:
    """A read or a write of so many bytes."""
    return struct.pack(">BBQIBB", READ_16 if from_disk else WRITE_16, 0, block, size // BLOCK, 0, 0)


def unmap_list(ranges: Sequence[tuple[int, int]]) -> bytes:
    """The parameter list of UNMAP: first blocks and counts."""
    descriptors = b"".join(struct.pack(">QI4x", block, count) for block, count in ranges)
    return struct.pack(">HH4x", 6 + len(descriptors), len(descriptors)) + descriptors
