# SPDX-License-Identifier: GPL-2.0-or-later
"""The inner machine's RAM, handed out page by page to the drivers' queues and command structures."""

from __future__ import annotations

from machines.qtest_client import EmulatorError, QTest

RAM = 0x4000_0000
RAM_SIZE = 16 << 20  # the machine's -m must be at least this
PAGE = 4096


class Pages:
    """RAM that nobody has taken yet."""

    def __init__(self, qtest: QTest, begin: int = RAM, end: int = RAM + RAM_SIZE) -> None:
        self._qtest = qtest
        self._next = begin
        self._end = end

    def take(self, size: int = PAGE) -> int:
        """The address of so many zeroed bytes, rounded up to pages."""
        address, rounded = self._next, -(-size // PAGE) * PAGE
        if address + rounded > self._end:
            raise EmulatorError(f"the drivers want more of the inner machine's RAM than there is up to {self._end:#x}")
        self._next += rounded
        self._qtest.command(f"memset {address:#x} {rounded:#x} 0")
        return address
