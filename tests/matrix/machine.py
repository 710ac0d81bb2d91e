# SPDX-License-Identifier: GPL-2.0-or-later
"""The inner machine: an emulator whose BARs and RAM are a board, and the devices that are to access it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import places
from board import Board
from drivers import pci
from drivers.pages import Pages
from machines.qtest_client import Emulator

TEST_DEVICE = "ram-device-testdev"
BOARD_SLOT, REGISTER_SLOT, RAM_SLOT = 4, 5, 6
TESTDEV_RAM_BAR, TESTDEV_MEMORY_BAR, TESTDEV_REGISTER_BAR = 1, 2, 4
IVSHMEM_MEMORY_BAR = 2
# Where the devices' own registers are put: BARs of 32 bits must find room there as well.
REGISTERS = 0x2000_0000


@dataclass(frozen=True)
class Variant:
    """An emulator under test, and x-ram-device-direct for its memory-like BAR: "" if it has no such property."""

    name: str
    emulator: str
    direct: str

    @property
    def is_stock(self) -> bool:
        """Whether both BARs are bounced in 4096 bytes."""
        return not self.direct


@dataclass(frozen=True)
class Assigned:
    """The host addresses of the two PCI devices whose BARs vfio-pci assigns."""

    memory: str
    register: str


def board_options(variant: Variant, assigned: Assigned | None) -> list[str]:
    """The emulator's arguments that make the board: of the test device, or of what vfio-pci assigns."""
    direct = f",x-ram-device-direct={variant.direct}" if variant.direct else ""
    if assigned is None:
        sizes = f"mem-size={places.SIZE},reg-size={places.SIZE}"
        return ["-device", f"{TEST_DEVICE},{sizes},addr={BOARD_SLOT:x}.0{direct}"]
    register_like = ",x-ram-device-direct=off" if variant.direct else ""
    return [
        "-device", f"vfio-pci,host={assigned.memory},addr={BOARD_SLOT:x}.0{direct}",
        "-device", f"vfio-pci,host={assigned.register},addr={REGISTER_SLOT:x}.0{register_like}",
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
                (BOARD_SLOT, TESTDEV_REGISTER_BAR, places.REGISTER_BEGIN),
                (BOARD_SLOT, TESTDEV_RAM_BAR, places.RAM_BEGIN),
                (BOARD_SLOT, TESTDEV_MEMORY_BAR, places.MEMORY_BEGIN),
            ]
        else:
            bars = [
                (REGISTER_SLOT, IVSHMEM_MEMORY_BAR, places.REGISTER_BEGIN),
                (RAM_SLOT, IVSHMEM_MEMORY_BAR, places.RAM_BEGIN),
                (BOARD_SLOT, IVSHMEM_MEMORY_BAR, places.MEMORY_BEGIN),
            ]
        for slot, bar, offset in bars:
            pci.Function(emulator.qtest, slot).place_any_bar(bar, pci.LOW_MMIO + offset)
        yield Machine(
            emulator,
            Board(emulator.qtest, pci.LOW_MMIO, seed),
            Pages(emulator.qtest),
            pci.Window(REGISTERS),
        )
