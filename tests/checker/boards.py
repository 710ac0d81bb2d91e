# SPDX-License-Identifier: GPL-2.0-or-later
"""The machines that emulators are checked on: where RAM and PCI are, and what makes PCI answer."""

from __future__ import annotations

from dataclasses import dataclass

from drivers import pci
from drivers.pages import RAM
from machines.qtest_client import QTest

MIB = 1 << 20
RAM_SIZE = 64 * MIB
# Below lie what a PC has had since the eighties: its BIOS, and screen memory.
PC_RAM = 1 * MIB
PC_ECAM, PC_LOW_MMIO, PC_LOW_MMIO_END = 0xB000_0000, 0xC000_0000, 0xFE00_0000
CONFIG_ADDRESS, CONFIG_DATA = 0xCF8, 0xCFC
Q35_PCIEXBAR, ENABLE = 0x60, 1


@dataclass(frozen=True)
class Board:
    """A machine type. RAM that drivers may have lies between `ram` and `ram_end`."""

    machine: str
    architecture: str
    ecam: int
    ram: int
    ram_end: int
    low_mmio: int
    low_mmio_end: int
    firmware_option: str = ""
    """The option that takes an empty file in place of firmware, where a machine won't start without any."""

    def wake(self, qtest: QTest) -> None:
        """Make the ECAM window answer, as firmware would."""
        if self == Q35:
            for register, value in ((Q35_PCIEXBAR + 4, 0), (Q35_PCIEXBAR, PC_ECAM | ENABLE)):
                qtest.command(f"outl {CONFIG_ADDRESS:#x} {1 << 31 | register:#x}")
                qtest.command(f"outl {CONFIG_DATA:#x} {value:#x}")


VIRT = Board("virt", "aarch64", pci.ECAM, RAM, RAM + RAM_SIZE, pci.LOW_MMIO, pci.LOW_MMIO_END)
Q35 = Board("q35", "x86_64", PC_ECAM, PC_RAM, RAM_SIZE, PC_LOW_MMIO, PC_LOW_MMIO_END, "-bios")
