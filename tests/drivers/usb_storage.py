# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's driver for USB mass storage, spoken through qtest: bulk-only transport over xHCI.

One command is in flight at a time. Names and numbers are those of the bulk-only transport 1.0.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, RequestFailed, Segment, total
from drivers.scsi_disk import ScsiDisk
from drivers.xhci import ENDPOINT_BULK_IN, ENDPOINT_BULK_OUT, Xhci

# The contexts of endpoint 1, in, and endpoint 2, out, which are the bulk endpoints of QEMU's usb-storage.
BULK_IN, BULK_OUT = 3, 4
COMMAND_SIGNATURE, STATUS_SIGNATURE = 0x4342_5355, 0x5342_5355
COMMAND_SIZE, STATUS_SIZE = 31, 13
FROM_DEVICE = 0x80


class UsbStorage(ScsiDisk):
    """The mass storage device of an xHCI controller, ready for commands."""

    def __init__(self, xhci: Xhci, pages: Pages) -> None:
        self._xhci = xhci
        self._qtest = xhci.qtest
        self._command_block = Segment(pages.take(), COMMAND_SIZE)
        self._status_block = Segment(pages.take(), STATUS_SIZE)
        self._tag = 0
        xhci.open_bulk({BULK_IN: ENDPOINT_BULK_IN, BULK_OUT: ENDPOINT_BULK_OUT})
        self.power_on()

    def command(
        self, cdb: bytes, from_device: bool, data: Sequence[Segment], timeout: float = ANSWER_SECONDS
    ) -> None:
        self._tag += 1
        flags = FROM_DEVICE if from_device else 0
        head = struct.pack("<IIIBBB", COMMAND_SIGNATURE, self._tag, total(data), flags, 0, len(cdb))
        self._qtest.write(self._command_block.address, head + cdb.ljust(16, b"\0"))
        self._xhci.transfer(BULK_OUT, [self._command_block], timeout)
        if data:
            self._xhci.transfer(BULK_IN if from_device else BULK_OUT, data, timeout)
        self._xhci.transfer(BULK_IN, [self._status_block], timeout)
        answer = self._qtest.read(self._status_block.address, STATUS_SIZE)
        signature, tag, residue, status = struct.unpack("<IIIB", answer)
        if (signature, tag, residue, status) != (STATUS_SIGNATURE, self._tag, 0, 0):
            raise RequestFailed(f"usb-storage answered with {answer.hex()}")
