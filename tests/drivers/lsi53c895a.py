# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's driver for the LSI53C895A, spoken through qtest, for the disk that is target 0; one command at a time.

The adapter carries out a script that lies in RAM; all addresses are of 32 bits. Names and numbers are those of its
technical manual.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from drivers import pci
from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, RequestFailed, Segment, wait_until
from drivers.scsi_disk import ScsiDisk
from machines.qtest_client import EmulatorError

REGISTER_BAR = 1
DSTAT, ISTAT0, DSP, DSPS, SIST0 = 0x0C, 0x14, 0x2C, 0x30, 0x42
RESET, DMA_INTERRUPT, SCSI_INTERRUPT = 1 << 6, 1 << 0, 1 << 1
SCRIPT_INTERRUPT, PHASE_MISMATCH = 1 << 2, 1 << 7
DATA_OUT, DATA_IN, COMMAND, STATUS, MESSAGE_OUT, MESSAGE_IN = 0, 1, 2, 3, 6, 7
IDENTIFY = 0x80
GOOD = 0
# Instructions; those that jump or interrupt may depend on the phase.
SELECT_WITH_ATTENTION, DISCONNECT, RESELECT = 0x4100_0008, 0x4800_0000, 0x5000_0000
JUMP, INTERRUPT, ALWAYS, IF_PHASE = 0x8000_0000, 0x9800_0000, 1 << 19, 1 << 19 | 1 << 17
INSTRUCTION_SIZE = 8
FINISHED = 0x600D


class Lsi53c895a(ScsiDisk):
    """The adapter in one slot."""

    def __init__(self, function: pci.Function, window: pci.Window, pages: Pages) -> None:
        self._qtest = function.qtest
        self._registers = window.place(function, REGISTER_BAR).address
        self._script, self._buffers = pages.take(), pages.take()
        self._qtest.write8(self._registers + ISTAT0, RESET)
        self._qtest.write8(self._registers + ISTAT0, 0)
        self.power_on()

    def command(
        self, cdb: bytes, from_device: bool, data: Sequence[Segment], timeout: float = ANSWER_SECONDS
    ) -> None:
        message, command, status = self._buffers, self._buffers + 0x10, self._buffers + 0x40
        self._qtest.write(message, bytes([IDENTIFY]))
        self._qtest.write(command, cdb)
        self._qtest.write8(status, 0xFF)
        # A command without data that takes its time is in the phase of data that comes in, until it is done.
        moves = [(part.size, part.address) for part in data] or [(1, self._buffers + 0x100)]
        direction = DATA_IN if from_device or not data else DATA_OUT
        script, dispatch = self._assemble(message, command, len(cdb), status, moves, direction)
        self._qtest.write(self._script, script)
        self._qtest.write32(self._registers + DSP, self._script)
        # A command that fails before its data has moved is a mismatch of phases, and goes on with its status.
        while self._interrupted(timeout) == PHASE_MISMATCH:
            self._qtest.write32(self._registers + DSP, dispatch)
        if (answer := self._qtest.read8(status)) != GOOD:
            raise RequestFailed(f"the disk behind the lsi53c895a answered with status {answer}")

    def _assemble(
        self, message: int, command: int, size: int, status: int, moves: Sequence[tuple[int, int]], direction: int
    ) -> tuple[bytes, int]:
        """The script, and where it looks which phase it is in."""
        begin = 3 * INSTRUCTION_SIZE
        data = begin + 4 * INSTRUCTION_SIZE
        last = data + (len(moves) + 1) * INSTRUCTION_SIZE
        away = last + 3 * INSTRUCTION_SIZE
        at = self._script
        ignored = message + 0x80
        words = [
            SELECT_WITH_ATTENTION, at + begin,
            MESSAGE_OUT << 24 | 1, message,
            COMMAND << 24 | size, command,
            JUMP | IF_PHASE | direction << 24, at + data,
            JUMP | IF_PHASE | STATUS << 24, at + last,
            JUMP | IF_PHASE | MESSAGE_IN << 24, at + away,
            INTERRUPT | ALWAYS, 0,
            *(word for length, address in moves for word in (direction << 24 | length, address)),
            JUMP | ALWAYS, at + begin,
            STATUS << 24 | 1, status,
            MESSAGE_IN << 24 | 1, ignored,
            INTERRUPT | ALWAYS, FINISHED,
            MESSAGE_IN << 24 | 2, ignored,
            DISCONNECT, 0,
            RESELECT, at,
            MESSAGE_IN << 24 | 1, ignored,
            JUMP | ALWAYS, at + begin,
        ]  # fmt: skip
        return struct.pack(f"<{len(words)}I", *words), at + begin

    def _interrupted(self, timeout: float) -> int:
        """Wait until the script has ended, or met another phase; which of them it is."""
        registers = self._registers
        either = DMA_INTERRUPT | SCSI_INTERRUPT
        wait_until(lambda: bool(self._qtest.read8(registers + ISTAT0) & either), "the lsi53c895a", timeout)
        if self._qtest.read8(registers + ISTAT0) & SCSI_INTERRUPT:
            scsi = self._qtest.read8(registers + SIST0)
            self._qtest.read8(registers + SIST0 + 1)
            if scsi == PHASE_MISMATCH:
                return PHASE_MISMATCH
            raise EmulatorError(f"the lsi53c895a tells SCSI interrupts {scsi:#x}")
        dma, value = self._qtest.read8(registers + DSTAT), self._qtest.read32(registers + DSPS)
        if not dma & SCRIPT_INTERRUPT or value != FINISHED:
            raise EmulatorError(f"the lsi53c895a tells DMA interrupts {dma:#x}, script interrupt {value:#x}")
        return SCRIPT_INTERRUPT
