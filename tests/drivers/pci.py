# SPDX-License-Identifier: GPL-2.0-or-later
"""PCI configuration of the inner machine, by its ECAM window; it is `-M virt,highmem=on` unless told otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from machines.qtest_client import EmulatorError, QTest

ECAM = 0x40_1000_0000
# The windows for BARs.
LOW_MMIO = 0x1000_0000
LOW_MMIO_END = 0x3EFE_0000
HIGH_MMIO = 0x80_0000_0000

VENDOR_AND_DEVICE = 0x00
COMMAND = 0x04
COMMAND_MEMORY = 0x2
COMMAND_MASTER = 0x4
COMMAND_NO_INTX = 0x400
FIRST_BAR = 0x10
BAR_IS_64_BIT = 0x4
BAR_ATTRIBUTES = 0xF
FIRST_CAPABILITY = 0x34
# Of a port: its buses, its windows, and in its capability of PCI Express the slot's power.
BUSES, MEMORY_WINDOW, PREFETCHABLE_WINDOW, WINDOW_UPPER_BASE, WINDOW_UPPER_LIMIT = 0x18, 0x20, 0x24, 0x28, 0x2C
EXPRESS_CAPABILITY, SLOT_CONTROL, SLOT_POWER, SLOT_ON, SLOT_OFF = 0x10, 0x18, 0x700, 0x100, 0x700
# What a port hands on from LOW_MMIO and from HIGH_MMIO on.
LOW_WINDOW_SIZE, HIGH_WINDOW_SIZE = 0x1000_0000, 0x1_0000_0000


@dataclass(frozen=True)
class Bar:
    """A memory BAR that the guest has placed."""

    address: int
    size: int


class Function:
    """Function 0 of the device in one slot of a bus."""

    def __init__(self, qtest: QTest, slot: int, bus: int = 0, ecam: int = ECAM) -> None:
        self.qtest = qtest
        self._config = ecam + (bus << 20) + (slot << 15)

    def identity(self) -> int:
        """Device ID in the upper half, vendor ID in the lower."""
        return self.qtest.read32(self._config + VENDOR_AND_DEVICE)

    def place_bar(self, index: int, address: int) -> Bar:
        """Size a 64-bit BAR, put it at the address, and let the device answer and master the bus."""
        attributes, size = self._size_bar(index)
        if not attributes & BAR_IS_64_BIT:
            raise EmulatorError(f"BAR {index} isn't a 64-bit memory BAR: its sizing answers attributes {attributes:#x}")
        return self._put_bar(index, address, attributes, size)

    def place_any_bar(self, index: int, address: int) -> Bar:
        """The same for a BAR of 64 or 32 bits."""
        attributes, size = self._size_bar(index)
        return self._put_bar(index, address, attributes, size)

    def bar_size(self, index: int) -> int:
        return self._size_bar(index)[1]

    def config8(self, offset: int) -> int:
        return self.qtest.read8(self._config + offset)

    def config16(self, offset: int) -> int:
        return self.qtest.read16(self._config + offset)

    def config32(self, offset: int) -> int:
        return self.qtest.read32(self._config + offset)

    def set_config16(self, offset: int, value: int) -> None:
        self.qtest.write16(self._config + offset, value)

    def set_config32(self, offset: int, value: int) -> None:
        self.qtest.write32(self._config + offset, value)

    def set_command(self, bits: int) -> None:
        """Set these bits of the command register."""
        self.set_config16(COMMAND, self.config16(COMMAND) | bits)

    def capabilities(self, kind: int) -> Iterator[int]:
        """The offset of each capability with this ID."""
        offset = self.config8(FIRST_CAPABILITY)
        while offset:
            if self.config8(offset) == kind:
                yield offset
            offset = self.config8(offset + 1)

    def _size_bar(self, index: int) -> tuple[int, int]:
        """The BAR's attribute bits, and its size."""
        low, high = self._config + FIRST_BAR + 4 * index, self._config + FIRST_BAR + 4 * (index + 1)
        self.qtest.write32(low, 0xFFFF_FFFF)
        sized = self.qtest.read32(low)
        attributes, bits = sized & BAR_ATTRIBUTES, 32
        if attributes & BAR_IS_64_BIT:
            self.qtest.write32(high, 0xFFFF_FFFF)
            sized |= self.qtest.read32(high) << 32
            bits = 64
        return attributes, (1 << bits) - (sized & ~BAR_ATTRIBUTES)

    def _put_bar(self, index: int, address: int, attributes: int, size: int) -> Bar:
        low = self._config + FIRST_BAR + 4 * index
        self.qtest.write32(low, address & 0xFFFF_FFFF)
        if attributes & BAR_IS_64_BIT:
            self.qtest.write32(low + 4, address >> 32)
        self.set_command(COMMAND_MEMORY | COMMAND_MASTER)
        return Bar(address, size)


class Window:
    """Addresses for BARs, handed out in ascending order."""

    def __init__(self, begin: int, end: int = LOW_MMIO_END) -> None:
        self._next = begin
        self._end = end

    def place(self, function: Function, index: int) -> Bar:
        """Put the BAR at the next address that its size allows."""
        size = function.bar_size(index)
        address = -(-self._next // size) * size
        if address + size > self._end:
            raise EmulatorError(f"no room for BAR {index} of {size:#x} bytes below {self._end:#x}")
        self._next = address + size
        return function.place_any_bar(index, address)


def find(qtest: QTest, vendor: int, device: int) -> Function:
    """The first function on bus 0 with these IDs."""
    for slot in range(32):
        function = Function(qtest, slot)
        if function.identity() == device << 16 | vendor:
            return function
    raise EmulatorError(f"the inner machine has no PCI device {vendor:04x}:{device:04x} on bus 0")


def open_port(port: Function, bus: int) -> None:
    """Let a root port hand on what is for the bus behind it."""
    port.set_config32(BUSES, bus << 16 | bus << 8)
    for register, base, size in (
        (MEMORY_WINDOW, LOW_MMIO, LOW_WINDOW_SIZE),
        (PREFETCHABLE_WINDOW, HIGH_MMIO, HIGH_WINDOW_SIZE),
    ):
        limit = base + size - 1
        port.set_config32(register, (limit >> 16 & 0xFFF0) << 16 | (base >> 16 & 0xFFF0))
    port.set_config32(WINDOW_UPPER_BASE, HIGH_MMIO >> 32)
    port.set_config32(WINDOW_UPPER_LIMIT, HIGH_MMIO >> 32)
    port.set_command(COMMAND_MEMORY | COMMAND_MASTER)


def set_slot_power(port: Function, on: bool) -> None:
    """Switch the slot of a root port on, for a device that has come, or off, which lets one go."""
    control = next(port.capabilities(EXPRESS_CAPABILITY)) + SLOT_CONTROL
    port.set_config16(control, port.config16(control) & ~SLOT_POWER | (SLOT_ON if on else SLOT_OFF))
