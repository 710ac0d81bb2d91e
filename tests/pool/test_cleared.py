# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: nobody gets what earlier DMA of somebody else has left in a buffer, however little a device writes there."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers import pci
from drivers.nvme import Nvme
from drivers.request import RequestFailed, Segment
from drivers.scsi_disk import INQUIRY
from drivers.virtio import VirtioPci
from drivers.virtio_blk import SECTOR, VirtioBlk
from drivers.virtio_scsi import VirtioScsi
from machines import emulators
from pool.machine import FIRST_DISK_SLOT, Machine, machine

SIZE = 128 << 10
SECRET = random.Random("secret").randbytes(SIZE)
# The disk's second half can't be read.
BAD_SECTOR = SIZE // SECTOR
BEFORE = b"\x5a" * SIZE

Disk = Nvme | VirtioBlk | VirtioScsi


def nvme(running: Machine, function: pci.Function) -> Nvme:
    return Nvme(function, running.window, running.pages)


def virtio_blk(running: Machine, function: pci.Function) -> VirtioBlk:
    return VirtioBlk(running.emulator.qtest, VirtioPci(function, running.window), running.pages)


def virtio_scsi(running: Machine, function: pci.Function) -> VirtioScsi:
    return VirtioScsi(VirtioPci(function, running.window), running.pages)


DISKS: dict[str, tuple[list[str], Callable[[Machine, pci.Function], Disk]]] = {
    "nvme": (["nvme,serial=1,drive=disk"], nvme),
    "virtio-blk": (["virtio-blk-pci,drive=disk"], virtio_blk),
    "virtio-scsi": (["virtio-scsi-pci", "scsi-hd,drive=disk"], virtio_scsi),
}


@contextmanager
def with_secret(name: str, folder: Path) -> Iterator[tuple[Machine, Disk]]:
    """A disk that has read a secret into the BAR, which is as before again."""
    (controller, *others), new_driver = DISKS[name]
    image = folder / "disk"
    image.write_bytes(SECRET + bytes(SIZE))
    bad = f"inject-error.0.event=read_aio,inject-error.0.sector={BAD_SECTOR}"
    options = [
        "-blockdev", f"driver=blkdebug,node-name=debug,image.driver=file,image.filename={image},{bad}",
        "-blockdev", "driver=raw,node-name=disk,file=debug",
        "-device", f"{controller},addr={FIRST_DISK_SLOT:x}.0",
        *(word for device in others for word in ("-device", device)),
    ]  # fmt: skip
    with machine(emulators.wanted("patched"), folder, SIZE, options) as running:
        disk = new_driver(running, pci.Function(running.emulator.qtest, FIRST_DISK_SLOT))
        disk.transfer(True, 0, [Segment(running.address, SIZE)])
        assert running.bar(0, SIZE) == SECRET
        running.fill_bar(0, BEFORE)
        yield running, disk


@pytest.mark.parametrize("name", DISKS)
def test_c9_a_read_that_fails_leaves_zeroes(name: str, tmp_path: Path) -> None:
    with with_secret(name, tmp_path) as (running, disk):
        with pytest.raises(RequestFailed):
            disk.transfer(True, BAD_SECTOR, [Segment(running.address, SIZE)])
        assert running.bar(0, SIZE) == bytes(SIZE)


def test_c9_behind_a_short_answer_there_are_zeroes(tmp_path: Path) -> None:
    """As SG_IO makes it, with room for more than the command asks for."""
    asked, room = 36, SIZE // 2
    with with_secret("virtio-scsi", tmp_path) as (running, disk):
        assert isinstance(disk, VirtioScsi)
        disk.command(struct.pack(">BBBHx", INQUIRY, 0, 0, asked), True, [Segment(running.address, room)])
        found = running.bar(0, SIZE)
        assert b"QEMU HARDDISK" in found[:asked]
        assert found[asked:room] == bytes(room - asked)
        assert found[room:] == BEFORE[room:]
