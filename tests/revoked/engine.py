# SPDX-License-Identifier: GPL-2.0-or-later
"""The test device's engine, which has QEMU access any guest address by a function of the memory API."""

from __future__ import annotations

from enum import IntEnum

from machines.bar_of_file import REGISTER_BAR, STAGING_BAR, TEST_DEVICE_SLOT, Machine

ADDRESS, STAGE, LENGTH, VALUE, OPERATION, STATUS = 0x00, 0x08, 0x10, 0x18, 0x20, 0x28


class Operation(IntEnum):
    """enum RamDeviceTestOp of the test device, as far as it is used here."""

    READ = 1
    MAP_READ = 9
    LOAD = 12


class Engine:
    """The engine, with its registers and its staging buffer placed."""

    def __init__(self, running: Machine) -> None:
        self._qtest = running.emulator.qtest
        function = running.function(TEST_DEVICE_SLOT)
        self._registers = running.window.place(function, REGISTER_BAR).address
        running.window.place(function, STAGING_BAR)

    def carry_out(self, operation: Operation, address: int, length: int) -> int:
        """Do it, with the staging buffer's first bytes; its MemTxResult."""
        values = {ADDRESS: address, STAGE: 0, LENGTH: length, VALUE: 0, OPERATION: operation}
        *_, status = self._qtest.commands(
            [f"writeq {self._registers + register:#x} {value:#x}" for register, value in values.items()]
            + [f"readq {self._registers + STATUS:#x}"]
        )
        return int(status, 0)
