# SPDX-License-Identifier: GPL-2.0-or-later
"""The assigned device: as the outer VM's script sees it, and in an inner machine, behind a root port there."""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drivers import pci
from drivers.pages import Pages
from drivers.request import wait_until
from machines.assigned import BOCHS_DISPLAY, find, give_to_vfio, is_there
from machines.qtest_client import Emulator, QTest

PORT_SLOT, BEHIND_PORT = 2, 1
LOW_WINDOW, HIGH_WINDOW = pci.LOW_MMIO, pci.HIGH_MMIO
MEMORY_SIZE = 8 << 20
# Where virtio devices' registers are put.
REGISTERS = LOW_WINDOW + pci.LOW_WINDOW_SIZE
BRIDGE_CONTROL = 0x3E
# The kernel's: the config region, the name of an open device, and a system call.
CONFIG_REGION, DEVICE_FILE, PIDFD_GETFD = 7, "anon_inode:[vfio-device]", 438
NO_FILE, LETTING_GO_SECONDS = -1, 300.0


@dataclass(frozen=True)
class Kind:
    """A kind of outer device, whose memory is behind a prefetchable BAR of 64 bits."""

    vendor: int
    device: int
    memory_bar: int


IVSHMEM = Kind(0x1AF4, 0x1110, 2)
# An NVMe controller's persistent memory region; it has a function-level reset and power states, which ivshmem hasn't.
NVME = Kind(0x1B36, 0x0010, 4)
# What nvgrace-gpu gives a GPU's memory on an arm64 host: the same controller, or a display.
GPUS = (Kind(NVME.vendor, NVME.device, 4), Kind(*BOCHS_DISPLAY, 4))
NVME_REGISTER_BAR, NVME_PMR_CONTROL, NVME_PMR_ENABLE = 0, 0xE04, 1


def gpu() -> Kind:
    """The device that has a GPU's memory."""
    return next(kind for kind in GPUS if is_there(kind.vendor, kind.device))


class HostDevice:
    """The device, given to a driver."""

    def __init__(self, kind: Kind, driver: str) -> None:
        self.kind = kind
        self.address = find(kind.vendor, kind.device)
        give_to_vfio(self.address, driver)


class Memory:
    """A mapping of the BAR's memory, of our own. A driver may have taken it away since it was made."""

    def __init__(self, vfio_file: int, kind: Kind) -> None:
        self._vfio_file, self._offset = vfio_file, region(kind.memory_bar)
        self._mapping = self._made()

    def _made(self) -> mmap.mmap:
        return mmap.mmap(self._vfio_file, MEMORY_SIZE, offset=self._offset)

    def map_anew(self, vfio_file: int | None = None) -> None:
        """Let it be a new mapping, if need be by another file of the device; the BAR is there."""
        self._mapping.close()
        self._vfio_file = self._vfio_file if vfio_file is None else vfio_file
        self._mapping = self._made()

    def close(self) -> None:
        self._mapping.close()

    def __getitem__(self, part: slice) -> bytes:
        return self._mapping[part]

    def __setitem__(self, part: slice, data: bytes) -> None:
        self._mapping[part] = data


@dataclass
class Machine:
    """A running inner machine.

    `vfio_file` is the emulator's file descriptor for the device in the kernel, and `memory` a mapping of the BAR's
    memory by it: what the script does with them goes past the emulator.
    """

    emulator: Emulator
    host: HostDevice
    properties: dict[str, object]
    vfio_file: int
    memory: Memory
    port: pci.Function
    device: pci.Function
    pages: Pages
    window: pci.Window

    @property
    def qtest(self) -> QTest:
        return self.emulator.qtest

    def mappings(self) -> int:
        """How many mappings of the device the emulator has."""
        return Path(f"/proc/{self.emulator.pid}/maps").read_text().count(DEVICE_FILE)

    def function(self, slot: int) -> pci.Function:
        return pci.Function(self.qtest, slot)

    def unplug(self) -> None:
        """Let the guest switch the device's slot off, and wait until the emulator has let the device go."""
        self.memory.close()
        os.close(self.vfio_file)
        self.vfio_file = NO_FILE
        pci.set_slot_power(self.port, on=False)
        wait_until(lambda: _device_file(self.emulator) is None, "the emulator, which has the unplugged device open,",
                   LETTING_GO_SECONDS)  # fmt: skip

    def plug(self) -> None:
        """Let the device come back, for a guest that finds it as it did at first."""
        self.emulator.execute("device_add", self.properties)
        pci.set_slot_power(self.port, on=True)
        self.vfio_file = _taken_out(self.emulator)
        self.place_device()
        self.memory.map_anew(self.vfio_file)

    def place_device(self) -> pci.Bar:
        """Let the device's BARs be where they always are; after a reset it is to be done again."""
        if self.host.kind is NVME:
            registers = self.device.place_any_bar(NVME_REGISTER_BAR, LOW_WINDOW)
            self.qtest.write32(registers.address + NVME_PMR_CONTROL, NVME_PMR_ENABLE)
        return self.device.place_bar(self.host.kind.memory_bar, HIGH_WINDOW)


@contextmanager
def machine(
    emulator: str,
    host: HostDevice,
    options: Sequence[str],
    messages: Path,
    pass_fds: Sequence[int] = (),
    direct: bool = False,
) -> Iterator[Machine]:
    """Start the emulator with the device and these further arguments; `direct` lets DMA have pointers into its BARs."""
    properties: dict[str, object] = {"driver": "vfio-pci", "id": "assigned", "host": host.address, "bus": "behind"}
    if direct:
        properties["x-ram-device-direct"] = True
    command = [
        emulator, "-M", "virt", "-accel", "qtest", "-m", "16M", "-display", "none", "-nodefaults",
        "-device", f"pcie-root-port,id=behind,chassis=1,slot=1,addr={PORT_SLOT:x}.0",
        "-device", json.dumps(properties), *options,
    ]  # fmt: skip
    with Emulator(command, messages, pass_fds) as running:
        vfio_file = _taken_out(running)
        memory = Memory(vfio_file, host.kind)
        port = pci.Function(running.qtest, PORT_SLOT)
        device = pci.Function(running.qtest, 0, BEHIND_PORT)
        pages, window = Pages(running.qtest), pci.Window(REGISTERS)
        made = Machine(running, host, properties, vfio_file, memory, port, device, pages, window)
        try:
            pci.open_port(port, BEHIND_PORT)
            made.place_device()
            yield made
        finally:
            if made.vfio_file != NO_FILE:
                made.memory.close()
                os.close(made.vfio_file)


def region(index: int) -> int:
    """Where a region of the device begins in its file."""
    return index << 40


def _taken_out(emulator: Emulator) -> int:
    """A file descriptor of our own for the VFIO device that the emulator has open."""
    emulator.qtest.read8(pci.ECAM)  # It answers once its devices are there.
    number = _device_file(emulator)
    if number is None:
        raise SystemExit(f"process {emulator.pid} has no VFIO device open")
    process = os.pidfd_open(emulator.pid)
    mine = int(ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, number, 0))
    os.close(process)
    if mine < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return mine


def _device_file(emulator: Emulator) -> int | None:
    """The emulator's file descriptor for the device, if it has it open."""
    for number in Path(f"/proc/{emulator.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if str(number.readlink()) == DEVICE_FILE:
                return int(number.name)
    return None
