# SPDX-License-Identifier: GPL-2.0-or-later
"""The inner machine: an emulator whose BARs and RAM are a board, and the devices that are to access it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drivers import pci
from drivers.pages import Pages
from machines.qtest_client import Emulator
from matrix import places
from matrix.board import Board

# The emulators under test, by name; the third is the first, run with this property on both BARs.
PATCHED, STOCK, DIRECT = "patched", "stock", "x-ram-device-direct=on"

TEST_DEVICE = "ram-device-testdev"
TESTDEV_SLOT, LOWER_SLOT, RAM_SLOT, UPPER_SLOT = 3, 4, 5, 6
TESTDEV_RAM_BAR, TESTDEV_UPPER_BAR, TESTDEV_LOWER_BAR = 1, 2, 4
IVSHMEM_MEMORY_BAR = 2
# Where the devices' own registers are put: BARs of 32 bits must find room there as well.
REGISTERS = 0x2000_0000


@dataclass(frozen=True)
class Variant:
    """An emulator under test."""

    name: str
    emulator: str


@dataclass(frozen=True)
class Assigned:
    """The host addresses of the two PCI devices whose BARs vfio-pci assigns."""

    lower: str
    upper: str


def board_options(variant: Variant, assigned: Assigned | None) -> list[str]:
    """The emulator's arguments that make the board: of the test device, or of what vfio-pci assigns."""
    direct = f",{DIRECT}" if variant.name == DIRECT else ""
    if assigned is None:
        sizes = f"mem-size={places.SIZE},reg-size={places.SIZE}"
        return ["-device", f"{TEST_DEVICE},{sizes},addr={TESTDEV_SLOT:x}.0{direct}"]
    return [
        "-device", f"vfio-pci,host={assigned.lower},addr={LOWER_SLOT:x}.0{direct}",
        "-device", f"vfio-pci,host={assigned.upper},addr={UPPER_SLOT:x}.0{direct}",
        "-object", f"memory-backend-ram,id=between,size={places.SIZE}",
        "-device", f"ivshmem-plain,memdev=between,addr={RAM_SLOT:x}.0",
    ]  # fmt: skip


@dataclass
class Machine:
    """A running inner machine."""

    emulator: Emulator
    board: Board
    pages: Pages
    window: pci.Window

    def function(self, slot: int) -> pci.Function:
        return pci.Function(self.emulator.qtest, slot)


@contextmanager
def machine(
    variant: Variant,
    options: Sequence[str],
    messages: Path,
    seed: str,
    assigned: Assigned | None = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[Machine]:
    """Start the variant's emulator with these further arguments."""
    command = [
        variant.emulator, "-M", "virt", "-accel", "qtest", "-m", "16M", "-display", "none", "-nodefaults",
        *board_options(variant, assigned), *options,
    ]  # fmt: skip
    with Emulator(command, messages, pass_fds) as emulator:
        if assigned is None:
            bars = [
                (TESTDEV_SLOT, TESTDEV_LOWER_BAR, places.LOWER_BEGIN),
                (TESTDEV_SLOT, TESTDEV_RAM_BAR, places.RAM_BEGIN),
                (TESTDEV_SLOT, TESTDEV_UPPER_BAR, places.UPPER_BEGIN),
            ]
        else:
            bars = [
                (LOWER_SLOT, IVSHMEM_MEMORY_BAR, places.LOWER_BEGIN),
                (RAM_SLOT, IVSHMEM_MEMORY_BAR, places.RAM_BEGIN),
                (UPPER_SLOT, IVSHMEM_MEMORY_BAR, places.UPPER_BEGIN),
            ]
        for slot, bar, offset in bars:
            pci.Function(emulator.qtest, slot).place_any_bar(bar, pci.LOW_MMIO + offset)
        yield Machine(
            emulator,
            Board(emulator.qtest, pci.LOW_MMIO, seed),
            Pages(emulator.qtest),
            pci.Window(REGISTERS),
        )
