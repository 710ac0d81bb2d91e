# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests of emulated storage devices into BAR 4 and out of it, contents compared on both sides."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from checker import answers
from checker.findings import (
    BLK,
    DIRECTIONS,
    FROM_BAR,
    KIB,
    LOST_EMULATOR,
    NO_ANSWER,
    NVME,
    OK,
    SCSI,
    TO_BAR,
    WRONG,
    Answer,
    Limit,
    Request,
)
from checker.machine import DEVICE_SLOT, Machine, started
from checker.peer import Peer
from checker.places import GUARD, InBar, InRam, Place
from checker.subject import Subject
from drivers.nvme import Nvme
from drivers.request import DeviceNeedsReset, Segment
from drivers.virtio import VirtioPci
from drivers.virtio_blk import SECTOR, VirtioBlk
from drivers.virtio_scsi import VirtioScsi
from machines.qtest_client import EmulatorError

DRIVERS = {BLK: "virtio-blk-pci", SCSI: "virtio-scsi-pci", NVME: "nvme"}
SIZES = tuple(512 << i for i in range(12))
DISK_SIZE = 4 * KIB * KIB


@dataclass(frozen=True)
class Disk:
    """How the device and its disk are set up beyond the defaults."""

    device: str
    properties: str = ""
    cache: str = "writeback"
    detect_zeroes: str = "off"


class Storage:
    """An emulator with one storage device. What a request has been the end of is made anew for the next one: the driver
    of a device that is lost, or the emulator."""

    def __init__(self, subject: Subject, peer: Peer, disk: Disk, folder: Path) -> None:
        self._subject = subject
        self._peer = peer
        self._folder = folder
        self._disk = disk
        self._random = random.Random(repr(disk))
        self._image = folder / "disk.img"
        self._image.write_bytes(self._random.randbytes(DISK_SIZE))
        self._running = ExitStack()
        self._machine: Machine | None = None
        self._driver: VirtioBlk | VirtioScsi | Nvme | None = None

    def __enter__(self) -> Storage:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.close()

    @property
    def device(self) -> str:
        return self._disk.device

    def on_disk(self) -> bytes:
        """The disk's contents."""
        return self._image.read_bytes()

    def random_bytes(self, size: int) -> bytes:
        """Others each time."""
        return self._random.randbytes(size)

    @property
    def machine(self) -> Machine:
        if self._machine is None:
            self._running.close()
            self._driver = None
            options = self._options()
            self._machine = self._running.enter_context(started(self._subject, self._peer, options, self._folder))
        return self._machine

    def attempt(self, direction: str, size: int, in_ram: bool = False) -> Request:
        """One request of the beginning of the disk, with its data in BAR 4 unless told otherwise."""
        machine = self.machine
        found = self.answer(lambda: self._compare(InRam(machine) if in_ram else InBar(machine), direction, size))
        return Request(self.device, direction, size, found.verdict, found.message)

    def answer(self, request: Callable[[], str]) -> Answer:
        """What becomes of a request that the device is given in any way."""
        found = answers.answer(self.machine, request)
        if found.verdict in (LOST_EMULATOR, NO_ANSWER):
            self._machine = None
        return found

    def transfer(self, from_disk: bool, segment: Segment) -> None:
        """One request with its data anywhere."""
        machine = self.machine
        try:
            if self._driver is None:
                self._driver = self._new_driver(machine)
            self._driver.transfer(from_disk, 0, [segment], self._subject.patience)
        except DeviceNeedsReset:
            self._driver = None
            raise
        except EmulatorError:  # without an answer, too: the device may still access the request's memory
            self._machine = None
            raise

    def _compare(self, place: Place, direction: str, size: int) -> str:
        before = self.random_bytes(GUARD + size + GUARD)
        place.put(before)
        self.transfer(direction == TO_BAR, Segment(place.address, size))
        wanted = before[:GUARD] + self.on_disk()[:size] + before[GUARD + size :]
        if direction == FROM_BAR and wanted != before:
            return WRONG
        return OK if place.get(len(before)) == wanted else WRONG

    def _new_driver(self, machine: Machine) -> VirtioBlk | VirtioScsi | Nvme:
        if self._disk.device == NVME:
            return Nvme(machine.function(), machine.window, machine.pages)
        transport = VirtioPci(machine.function(), machine.window)
        if self._disk.device == SCSI:
            return VirtioScsi(transport, machine.pages)
        return VirtioBlk(machine.qtest, transport, machine.pages)

    def _options(self) -> list[str]:
        disk, path = self._disk, str(self._image).replace(",", ",,")
        properties = f"addr={DEVICE_SLOT:x}.0{disk.properties}"
        settings = f"format=raw,cache={disk.cache},aio=threads,detect-zeroes={disk.detect_zeroes}"
        drive = ["-drive", f"if=none,id=disk,file={path},{settings}"]
        if disk.device == SCSI:
            return [
                *drive,
                "-device",
                f"virtio-scsi-pci,id=scsi,{properties}",
                "-device",
                "scsi-hd,bus=scsi.0,drive=disk",
            ]
        # The default for mdts allows transfers of up to 512 KiB only.
        more = ",serial=checker,mdts=9" if disk.device == NVME else ""
        return [*drive, "-device", f"{DRIVERS[disk.device]},drive=disk{more},{properties}"]


def all_sizes(storage: Storage, sizes: tuple[int, ...] = SIZES) -> list[Request]:
    """A request of each size in both directions."""
    return [storage.attempt(direction, size) for size in sizes for direction in DIRECTIONS]


def works_in_ram(storage: Storage) -> bool:
    """Whether the device does its work where the data is in ordinary RAM; else what it does says nothing of BARs."""
    made = [
        storage.attempt(direction, size, in_ram=True) for size in (min(SIZES), max(SIZES)) for direction in DIRECTIONS
    ]
    return all(request.verdict == OK for request in made)


def find_limit(storage: Storage, made: list[Request]) -> Limit | None:
    """Between the sizes that were tried, to the sector; None if all of them work."""
    failed = [request for request in made if request.verdict != OK]
    if not failed:
        return None
    first = min(failed, key=lambda request: request.size)
    works = max((request.size for request in made if request.size < first.size), default=0)
    while first.size - works > SECTOR:
        tried = storage.attempt(first.direction, (works + first.size) // 2 // SECTOR * SECTOR)
        if tried.verdict == OK:
            works = tried.size
        else:
            first = tried
    return Limit(works, first.size, first.verdict, first.message)
