# SPDX-License-Identifier: GPL-2.0-or-later
"""The storage devices whose requests have their data in a BAR that goes away: their arguments, and their drivers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from drivers.ahci import Ahci
from drivers.ahci import Protocol as Ata
from drivers.lsi53c895a import Lsi53c895a
from drivers.megasas import MegaSas
from drivers.mptsas import MptSas
from drivers.nvme import Nvme
from drivers.pvscsi import PvScsi
from drivers.request import ANSWER_SECONDS, Segment
from drivers.usb_storage import UsbStorage
from drivers.virtio import VirtioPci
from drivers.virtio_blk import VirtioBlk
from drivers.virtio_scsi import VirtioScsi
from drivers.xhci import Xhci
from machines.bar_of_file import FIRST_FREE_SLOT, Machine

# The block node that the device is given.
NODE = "disk"
SLOT = f"addr={FIRST_FREE_SLOT:x}.0"


class Disk(Protocol):
    """What every driver can do."""

    def transfer(
        self, from_disk: bool, block: int, data: Sequence[Segment], timeout: float = ANSWER_SECONDS
    ) -> None: ...

    def flush(self, timeout: float = ANSWER_SECONDS) -> None: ...


@dataclass(frozen=True)
class Model:
    """A device model: the emulator's arguments for it, and a fresh driver for it.

    `takes_sectors` says that it takes its data sector by sector, and writes each before it asks for the next, and
    `wants_reset` that its driver resets it when a request has failed on the way.
    """

    name: str
    options: Sequence[str]
    driver: Callable[[Machine], Disk]
    takes_sectors: bool = False
    wants_reset: bool = False


def _controller(device: str, disk: str) -> list[str]:
    """A controller that is a device of its own, and the disk behind it."""
    return ["-device", f"{device},id=controller,{SLOT}", "-device", f"{disk},drive={NODE}"]


def _scsi(device: str) -> list[str]:
    return _controller(device, "scsi-hd,bus=controller.0,scsi-id=0,lun=0")


def _virtio(running: Machine) -> VirtioPci:
    return VirtioPci(running.function(FIRST_FREE_SLOT), running.window)


def _ahci(protocol: Ata) -> Model:
    def driver(running: Machine) -> Ahci:
        return Ahci(running.function(FIRST_FREE_SLOT), running.window, running.pages, protocol)

    options = _controller("ich9-ahci", "ide-hd,bus=controller.0")
    return Model(f"ahci-{protocol.name.lower()}", options, driver, takes_sectors=protocol is Ata.PIO)


def _of_pci(name: str, device: str, kind: type[PvScsi] | type[MegaSas] | type[MptSas] | type[Lsi53c895a]) -> Model:
    def driver(running: Machine) -> Disk:
        return kind(running.function(FIRST_FREE_SLOT), running.window, running.pages)

    return Model(name, _scsi(device), driver)


def _usb(running: Machine) -> UsbStorage:
    return UsbStorage(Xhci(running.function(FIRST_FREE_SLOT), running.window, running.pages), running.pages)


VIRTIO_BLK = Model(
    "virtio-blk",
    ["-device", f"virtio-blk-pci,id=controller,drive={NODE},{SLOT}"],
    lambda running: VirtioBlk(running.emulator.qtest, _virtio(running), running.pages),
)
VIRTIO_BLK_IOTHREAD = Model(
    "virtio-blk-iothread",
    ["-object", "iothread,id=thread", "-device", f"virtio-blk-pci,id=controller,drive={NODE},iothread=thread,{SLOT}"],
    VIRTIO_BLK.driver,
)
VIRTIO_SCSI = Model(
    "virtio-scsi", _scsi("virtio-scsi-pci"), lambda running: VirtioScsi(_virtio(running), running.pages)
)
NVME = Model(
    "nvme",
    ["-device", f"nvme,id=controller,drive={NODE},serial=revoked,{SLOT}"],
    lambda running: Nvme(running.function(FIRST_FREE_SLOT), running.window, running.pages),
)
USB = Model("usb-storage", _controller("qemu-xhci", "usb-storage,bus=controller.0"), _usb, wants_reset=True)
PVSCSI = _of_pci("pvscsi", "pvscsi", PvScsi)
MEGASAS = _of_pci("megasas", "megasas", MegaSas)
MPTSAS = _of_pci("mptsas", "mptsas1068", MptSas)
LSI = _of_pci("lsi53c895a", "lsi53c895a", Lsi53c895a)
AHCI = tuple(_ahci(protocol) for protocol in Ata)

SCSI = (VIRTIO_SCSI, USB, PVSCSI, MEGASAS, MPTSAS, LSI)
ALL = (VIRTIO_BLK, VIRTIO_BLK_IOTHREAD, NVME, *SCSI, *AHCI)
