# SPDX-License-Identifier: GPL-2.0-or-later
"""The storage devices of an inner machine, and how each request to them is made and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers import pci, virtio_blk
from drivers.nvme import Nvme
from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, Segment
from drivers.usb_storage import UsbStorage
from drivers.virtio import VirtioPci
from drivers.virtio_blk import VirtioBlk
from drivers.virtio_scsi import VirtioScsi
from drivers.xhci import Xhci
from matrix.board import Board
from matrix.dimensions import (
    BLK,
    BLK_IOTHREAD,
    BORDERS,
    FLUSH,
    NVME,
    OK,
    READ,
    SCSI,
    STORAGE_DEVICES,
    USB,
    WRITE_ZEROES,
    WRONG,
    Case,
    Disk,
)
from matrix.images import SECTOR, Image

FIRST_SLOT = 8
SLOTS = {device: FIRST_SLOT + i for i, device in enumerate(STORAGE_DEVICES)}
Driver = VirtioBlk | VirtioScsi | Nvme | UsbStorage


def options(disk: Disk, images: dict[str, Image]) -> list[str]:
    """The arguments of an emulator with all storage devices, each with its own image."""
    arguments = ["-object", "iothread,id=thread"]
    for i, device in enumerate(STORAGE_DEVICES):
        path = str(images[device].path).replace(",", ",,")
        drive = f"if=none,id=disk{i},file={path},format={disk.format},cache={disk.cache},aio={disk.aio}"
        arguments += ["-drive", drive]
        at = f"addr={SLOTS[device]:x}.0"
        arguments += {
            BLK: ["-device", f"virtio-blk-pci,drive=disk{i},{at}"],
            BLK_IOTHREAD: ["-device", f"virtio-blk-pci,drive=disk{i},iothread=thread,{at}"],
            SCSI: ["-device", f"virtio-scsi-pci,id=scsi,{at}", "-device", f"scsi-hd,bus=scsi.0,drive=disk{i}"],
            # The default for mdts allows transfers of up to 512 KiB only.
            USB: ["-device", f"qemu-xhci,id=usb,{at}", "-device", f"usb-storage,bus=usb.0,drive=disk{i}"],
            NVME: ["-device", f"nvme,drive=disk{i},serial=matrix,mdts=9,{at}"],
        }[device]
    return arguments


@dataclass
class StorageDevice:
    """A driver, the memory for its data and the disk behind it."""

    driver: Driver
    board: Board
    image: Image
    pages: Pages
    timeout: float = ANSWER_SECONDS

    def transfer(self, from_disk: bool, sector: int, data: Sequence[Segment], place: str = "") -> None:
        if isinstance(self.driver, Nvme):
            # A PRP entry ends with its page, so it can't cross a border; an SGL descriptor can.
            self.driver.transfer(from_disk, sector, data, self.timeout, by_sgl=place in BORDERS)
        else:
            self.driver.transfer(from_disk, sector, data, self.timeout)

    def write_zeroes(self, sector: int, count: int, place: str) -> None:
        """Zero the sectors; what the request is described by lies in the place, if there is such a thing."""
        if isinstance(self.driver, VirtioBlk):
            payload = virtio_blk.sector_range(sector, count)
            segment = self.board.payload(place, len(payload))
            self.board.fill([segment], payload)
            self.driver.write_zeroes(segment, self.timeout)
        elif isinstance(self.driver, VirtioScsi | UsbStorage):
            segment = self.board.payload(place, SECTOR)
            self.board.fill([segment], bytes(SECTOR))
            self.driver.write_same(sector, count, segment, self.timeout)
        else:
            self.driver.write_zeroes(sector, count, self.timeout)

    def read_back(self, sector: int, size: int) -> bytes:
        """What is on the disk, by way of ordinary RAM."""
        into = self.pages.take(size)
        self.transfer(True, sector, [Segment(into, size)])
        return self.board.read(into, size)


def driver(device: str, function: pci.Function, window: pci.Window, pages: Pages) -> Driver:
    """A fresh driver for the device."""
    if device == NVME:
        return Nvme(function, window, pages)
    if device == USB:
        return UsbStorage(Xhci(function, window, pages), pages)
    transport = VirtioPci(function, window)
    return VirtioScsi(transport, pages) if device == SCSI else VirtioBlk(function.qtest, transport, pages)


def carry_out(case: Case, device: StorageDevice, timeout: float) -> tuple[str, str]:
    """Do what the case says; the verdict on all contents, and what is wrong with them."""
    device.timeout = timeout
    image, board = device.image, device.board
    sector = image.take(case.size)
    data = board.segments(case.place, case.size)
    try:
        if case.operation == READ:
            device.transfer(True, sector, data, case.place)
            board.expect(data, image.contents(sector, case.size))
        elif case.operation == WRITE_ZEROES:
            device.write_zeroes(sector, case.size // SECTOR, case.place)
            image.expect(sector, bytes(case.size))
        else:
            written = board.fill_randomly(data)
            device.transfer(False, sector, data, case.place)
            if case.operation == FLUSH:
                device.driver.flush(device.timeout)
            image.expect(sector, written)
    except Exception:
        board.forget(data)
        image.forget(sector, case.size)
        raise
    wrong = board.differences(data)
    if image.format == "raw":
        wrong += image.differences(sector, case.size)
    elif device.read_back(sector, case.size) != image.contents(sector, case.size):
        wrong.append(f"{image.path}: sector {sector} and what follows, read back into RAM, is something else")
    if not wrong:
        return OK, ""
    board.forget(data)
    image.forget(sector, case.size)
    return WRONG, "; ".join(wrong)
