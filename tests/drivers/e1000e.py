# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's e1000e driver, spoken through qtest: legacy descriptors, one packet at a time in each direction.

Names and numbers are those of Intel's 82574 data sheet.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from drivers import pci
from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, Segment, wait_until

REGISTER_BAR = 0
RCTL, TCTL = 0x0100, 0x0400
RECEIVE_RING, TRANSMIT_RING = 0x2800, 0x3800
BASE_LOW, BASE_HIGH, LENGTH, TAIL = 0x00, 0x04, 0x08, 0x18

RCTL_ENABLE, RCTL_ALL_UNICAST, RCTL_ALL_MULTICAST, RCTL_LONG_PACKETS = 1 << 1, 1 << 3, 1 << 4, 1 << 5
RCTL_BROADCAST, RCTL_BUFFERS_OF_16_KIB, RCTL_STRIP_CRC = 1 << 15, 1 << 16 | 1 << 25, 1 << 26
TCTL_ENABLE, TCTL_PAD = 1 << 1, 1 << 3
COMMAND_END_OF_PACKET, COMMAND_REPORT_STATUS = 1, 8
DESCRIPTOR_DONE = 1
DESCRIPTOR_SIZE, DESCRIPTORS = 16, 64


class _Ring:
    """A ring of legacy descriptors in one page; its tail register tells the device how far it may go."""

    def __init__(self, device: E1000e, registers: int, page: int) -> None:
        self._device = device
        self._registers = registers
        self._page = page
        self._tail = 0
        device.set(registers + BASE_LOW, page & 0xFFFF_FFFF)
        device.set(registers + BASE_HIGH, page >> 32)
        device.set(registers + LENGTH, DESCRIPTOR_SIZE * DESCRIPTORS)

    def add(self, descriptors: Sequence[bytes]) -> None:
        """Hand descriptors to the device."""
        for descriptor in descriptors:
            self._device.qtest.write(self._page + DESCRIPTOR_SIZE * self._tail, descriptor)
            self._tail = (self._tail + 1) % DESCRIPTORS
        self._device.set(self._registers + TAIL, self._tail)

    def wait(self, what: str, timeout: float) -> int:
        """Wait until the last descriptor is done; the length that it then has."""
        at = self._page + DESCRIPTOR_SIZE * ((self._tail - 1) % DESCRIPTORS)
        wait_until(lambda: bool(self._device.qtest.read(at + 12, 1)[0] & DESCRIPTOR_DONE), what, timeout)
        (length,) = struct.unpack("<H", self._device.qtest.read(at + 8, 2))
        return int(length)


class E1000e:
    """The e1000e in one slot, ready to send and to receive."""

    def __init__(self, function: pci.Function, window: pci.Window, pages: Pages) -> None:
        self.qtest = function.qtest
        self._registers = window.place(function, REGISTER_BAR).address
        self._receive = _Ring(self, RECEIVE_RING, pages.take())
        self._transmit = _Ring(self, TRANSMIT_RING, pages.take())
        self.set(TCTL, TCTL_ENABLE | TCTL_PAD)
        everything = RCTL_ALL_UNICAST | RCTL_ALL_MULTICAST | RCTL_BROADCAST | RCTL_LONG_PACKETS
        self.set(RCTL, RCTL_ENABLE | everything | RCTL_BUFFERS_OF_16_KIB | RCTL_STRIP_CRC)

    def send(self, data: Sequence[Segment], timeout: float = ANSWER_SECONDS) -> None:
        """Send one packet, and wait until the device is done with it; that may be because it has dropped it."""
        self._transmit.add([
            struct.pack(
                "<QHBBBBH", part.address, part.size, 0,
                COMMAND_REPORT_STATUS | (COMMAND_END_OF_PACKET if part is data[-1] else 0), 0, 0, 0,
            )
            for part in data
        ])  # fmt: skip
        self._transmit.wait("the e1000e's transmit ring", timeout)

    def offer(self, data: Sequence[Segment]) -> None:
        """Let the next packet be received there, in a buffer that is taken to be of 16 KiB."""
        (buffer,) = data
        self._receive.add([struct.pack("<QQ", buffer.address, 0)])

    def received(self, timeout: float = ANSWER_SECONDS) -> int:
        """Wait for a packet; its size."""
        return self._receive.wait("the e1000e's receive ring", timeout)

    def set(self, register: int, value: int) -> None:
        """Write a register."""
        self.qtest.write32(self._registers + register, value)
