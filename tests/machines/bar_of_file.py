# SPDX-License-Identifier: GPL-2.0-or-later
"""An inner machine with the test device, whose BAR is a file: when the file is cut short, the device is gone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drivers import pci
from drivers.pages import Pages
from machines.qtest_client import Emulator

# Where the BAR is put: within the reach of a device whose addresses are of 32 bits.
BAR, LARGEST_BAR = pci.LOW_MMIO, 0x1000_0000
TEST_DEVICE_SLOT, ROOT_PORT_SLOT, FIRST_FREE_SLOT = 4, 5, 8
REGISTER_BAR, STAGING_BAR, MEMORY_BAR = 0, 1, 2
# Where the BARs with registers are put.
REGISTERS = 0x2000_0000
DIRECT = "x-ram-device-direct=on"


@dataclass
class Machine:
    """A running inner machine. `storage` is the file that the device's BAR consists of."""

    emulator: Emulator
    storage: Path
    address: int
    size: int
    pages: Pages
    window: pci.Window

    def function(self, slot: int) -> pci.Function:
        return pci.Function(self.emulator.qtest, slot)

    def bar(self, offset: int, size: int) -> bytes:
        """What is in the BAR, as the device has it."""
        with self.storage.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def fill_bar(self, offset: int, data: bytes) -> None:
        with self.storage.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def cut_bar(self, left: int = 0) -> None:
        """Take all away but the first bytes, rounded up to pages; an access to the rest is a SIGBUS."""
        os.truncate(self.storage, left)

    def bring_bar_back(self) -> None:
        """It is whole again; what was cut off has become zeroes."""
        os.truncate(self.storage, self.size)

    def mappings(self) -> int:
        """The number of the emulator's memory mappings."""
        return len(Path(f"/proc/{self.emulator.pid}/maps").read_bytes().splitlines())


@contextmanager
def machine(
    emulator: Path,
    folder: Path,
    size: int,
    options: Sequence[str] = (),
    pass_fds: Sequence[int] = (),
    direct: bool = False,
    behind_port: bool = False,
    budget: int = 0,
) -> Iterator[Machine]:
    """Start the emulator with a BAR of that size.

    `direct` makes it one that pointers are handed out into, and `behind_port` that of a device that can be unplugged.
    `budget` is what each device may have of buffers, if it isn't the usual one.
    """
    storage = folder / "bar"
    storage.touch()
    os.truncate(storage, size)
    at = ("bus=rootport" if behind_port else f"addr={TEST_DEVICE_SLOT:x}.0") + (f",{DIRECT}" if direct else "")
    port = ["-device", f"pcie-root-port,id=rootport,addr={ROOT_PORT_SLOT:x}.0,chassis=1,slot=1"]
    command = [
        str(emulator), "-M", "virt" + (f",x-ram-device-buffer-size={budget}" if budget else ""), "-accel", "qtest",
        "-m", "16M", "-display", "none", "-nodefaults", *(port if behind_port else []),
        "-device", f"ram-device-testdev,id=gpu,{at},mem-size={size},mem-path={storage}", *options,
    ]  # fmt: skip
    messages = folder / "messages"
    messages.touch()
    with Emulator(command, messages, pass_fds) as running:
        address = BAR if size <= LARGEST_BAR else pci.HIGH_MMIO
        device = pci.Function(running.qtest, TEST_DEVICE_SLOT)
        if behind_port:
            pci.open_port(pci.Function(running.qtest, ROOT_PORT_SLOT), bus=1)
            device = pci.Function(running.qtest, 0, bus=1)
        device.place_bar(MEMORY_BAR, address)
        yield Machine(running, storage, address, size, Pages(running.qtest), pci.Window(REGISTERS))
