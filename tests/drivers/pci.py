# SPDX-License-Identifier: GPL-2.0-or-later
"""PCI configuration of the inner machine, `-M virt,highmem=on`, through its ECAM window."""

from __future__ import annotations

from dataclasses import dataclass

from machines.qtest_client import EmulatorError, QTest

ECAM = 0x40_1000_0000
# The 64-bit window for BARs.
HIGH_MMIO = 0x80_0000_0000

VENDOR_AND_DEVICE = 0x00
COMMAND = 0x04
COMMAND_MEMORY = 0x2
COMMAND_MASTER = 0x4
FIRST_BAR = 0x10
BAR_IS_64_BIT = 0x4
BAR_IS_PREFETCHABLE = 0x8
BAR_ATTRIBUTES = 0xF


@dataclass(frozen=True)
class Bar:
    """A 64-bit memory BAR that the guest has placed."""

    address: int
    size: int
    prefetchable: bool


class Function:
    """Function 0 of the device in one slot of bus 0."""

    def __init__(self, qtest: QTest, slot: int) -> None:
        self._qtest = qtest
        self._config = ECAM + (slot << 15)

    def identity(self) -> int:
        """Device ID in the upper half, vendor ID in the lower."""
        return self._qtest.read32(self._config + VENDOR_AND_DEVICE)

    def place_bar(self, index: int, address: int) -> Bar:
        """Size a 64-bit BAR, put it at the address, and let the device answer and master the bus."""
        low, high = self._config + FIRST_BAR + 4 * index, self._config + FIRST_BAR + 4 * (index + 1)
        self._qtest.write32(low, 0xFFFF_FFFF)
        self._qtest.write32(high, 0xFFFF_FFFF)
        sized = self._qtest.read32(low) | self._qtest.read32(high) << 32
        if not sized & BAR_IS_64_BIT:
            raise EmulatorError(f"BAR {index} isn't a 64-bit memory BAR: its sizing answers {sized:#x}")
        self._qtest.write32(low, address & 0xFFFF_FFFF)
        self._qtest.write32(high, address >> 32)
        self._qtest.write32(self._config + COMMAND, COMMAND_MEMORY | COMMAND_MASTER)
        return Bar(address, (1 << 64) - (sized & ~BAR_ATTRIBUTES), bool(sized & BAR_IS_PREFETCHABLE))


def find(qtest: QTest, vendor: int, device: int) -> Function:
    """The first function on bus 0 with these IDs."""
    for slot in range(32):
        function = Function(qtest, slot)
        if function.identity() == device << 16 | vendor:
            return function
    raise EmulatorError(f"the inner machine has no PCI device {vendor:04x}:{device:04x} on bus 0")
