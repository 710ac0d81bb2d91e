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


@dataclass(frozen=True)
class Unpinnable:
    """The descriptors of memory that the kernel refuses to pin, for the test device's BARs."""

    lower: int
    upper: int


# None: the test device's are of ordinary memory.
Bars = Assigned | Unpinnable | None


def board_options(variant: Variant, bars: Bars) -> list[str]:
    """The emulator's arguments that make the board: of the test device, or of what vfio-pci assigns."""
    direct = f",{DIRECT}" if variant.name == DIRECT else ""
    test_device = f"{TEST_DEVICE},mem-size={places.SIZE},reg-size={places.SIZE},addr={TESTDEV_SLOT:x}.0{direct}"
    if bars is None:
        return ["-device", test_device]
    if isinstance(bars, Unpinnable):
        return [
            "-add-fd", f"fd={bars.upper},set=1", "-add-fd", f"fd={bars.lower},set=2",
            "-device", f"{test_device},mem-path=/dev/fdset/1,reg-path=/dev/fdset/2",
        ]  # fmt: skip
    return [
        "-device", f"vfio-pci,host={bars.lower},addr={LOWER_SLOT:x}.0{direct}",
        "-device", f"vfio-pci,host={bars.upper},addr={UPPER_SLOT:x}.0{direct}",
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
    bars: Bars = None,
    pass_fds: Sequence[int] = (),
) -> Iterator[Machine]:
    """Start the variant's emulator with these further arguments."""
    command = [
        variant.emulator, "-M", "virt", "-accel", "qtest", "-m", "16M", "-display", "none", "-nodefaults",
        *board_options(variant, bars), *options,
    ]  # fmt: skip
    descriptors = [bars.lower, bars.upper] if isinstance(bars, Unpinnable) else []
    with Emulator(command, messages, [*pass_fds, *descriptors]) as emulator:
        if isinstance(bars, Assigned):
            placed = [
                (LOWER_SLOT, IVSHMEM_MEMORY_BAR, places.LOWER_BEGIN),
                (RAM_SLOT, IVSHMEM_MEMORY_BAR, places.RAM_BEGIN),
                (UPPER_SLOT, IVSHMEM_MEMORY_BAR, places.UPPER_BEGIN),
            ]
        else:
            placed = [
                (TESTDEV_SLOT, TESTDEV_LOWER_BAR, places.LOWER_BEGIN),
                (TESTDEV_SLOT, TESTDEV_RAM_BAR, places.RAM_BEGIN),
                (TESTDEV_SLOT, TESTDEV_UPPER_BAR, places.UPPER_BEGIN),
            ]
        for slot, bar, offset in placed:
            pci.Function(emulator.qtest, slot).place_any_bar(bar, pci.LOW_MMIO + offset)
        yield Machine(
            emulator,
            Board(emulator.qtest, pci.LOW_MMIO, seed),
            Pages(emulator.qtest),
            pci.Window(REGISTERS),
        )
