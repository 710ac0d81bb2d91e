# SPDX-License-Identifier: GPL-2.0-or-later
"""Bulk accesses to the BAR that the emulator itself makes in its main loop: reads, writes and fills."""

from __future__ import annotations

import random

from storm.assigned import HIGH_WINDOW, Machine
from storm.traffic import Counts

SIZE = 128 * 1024
WORD = 8
ONES = b"\xff" * SIZE


class BulkTraffic:
    """One access after the other, each at once done.

    When the BAR goes, the access ends at that word: a read gives what was read so far and then ones, a write or a fill
    has written so far and nothing behind. Whole accesses count as ok, others as errors: each is a bus error that
    was caught.
    """

    def __init__(self, machine: Machine) -> None:
        self.counts = Counts()
        self._qtest = machine.qtest
        self._memory = machine.memory
        self._contents = [random.Random(f"bulk {i}").randbytes(SIZE) for i in range(2)]
        self._contents.append(b"\x5a" * SIZE)
        self._round = 0
        self._old = b""
        self._read: bytes | None = None

    def submit(self) -> None:
        self._round += 1
        self._old = self._memory[:SIZE]

    def hold(self) -> None:
        """An access is made when it is asked for its answer."""

    def let_go(self) -> None:
        """As before."""

    def is_taken(self) -> bool:
        return True

    def is_answered(self) -> bool:
        self._read = None
        access = self._round % 4
        if access == 0:
            self._qtest.write(HIGH_WINDOW, self._new())
        elif access == 2:
            self._qtest.command(f"memset {HIGH_WINDOW:#x} {SIZE:#x} {self._new()[0]:#x}")
        else:
            self._read = self._qtest.read(HIGH_WINDOW, SIZE)
        return True

    def collect(self) -> None:
        now = self._memory[:SIZE]
        whole, found, rest = (now, self._read, ONES) if self._read else (self._new(), now, self._old)
        cut = next((at for at in range(0, SIZE, WORD) if found[at : at + WORD] != whole[at : at + WORD]), SIZE)
        if cut == SIZE:
            self.counts.ok += 1
            return
        self.counts.error += 1
        if found[cut:] != rest[cut:SIZE]:
            self.counts.wrong.append(f"access {self._round}: from {cut:#x} on it isn't as if it had ended there")

    def start_anew(self) -> None:
        """There is no device that could want it."""

    def _new(self) -> bytes:
        return self._contents[2] if self._round % 4 == 2 else self._contents[self._round // 4 % 2]
