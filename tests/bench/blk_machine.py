# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulator with one virtio-blk."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.blk_drives import NODE, Drive
from bench.places import MIB, Place
from bench.places_machine import DEVICE_SLOTS, NewLayout, running, virtio, virtio_device
from bench.polled_blk import PolledBlk, Requests
from bench.polled_queue import PolledQueue
from machines.error import MachineError
from machines.qtest_client import Emulator

LARGEST = MIB
# Of a queue of virtio-blk's, unless more requests are to be in flight.
USUAL_QUEUE = 256


def place_size(depth: int) -> int:
    """For so many requests in flight."""
    return depth * LARGEST


def disk_half(depth: int) -> int:
    """On the disk requests have gaps. They read from its first half, and write to the second."""
    return 2 * place_size(depth)


def make_image(folder: Path, depth: int) -> Path:
    """The disk, without holes."""
    image = folder / "virtio-blk.img"
    with image.open("wb") as file:
        for _ in range(2 * disk_half(depth) // MIB):
            file.write(bytes(MIB))
    return image


@dataclass
class BlkMachine:
    """A running emulator."""

    emulator: Emulator
    driver: PolledBlk
    image: Path
    places: Sequence[Place]

    def requests(self, from_disk: bool, size: int, place: Place) -> Requests:
        return Requests(from_disk, size, place.address, 0 if from_disk else disk_half(self.driver.depth))

    def check_contents(self, size: int, place: Place, seed: str) -> None:
        """Move new bytes from the disk to the place and back: what arrives must be what was there."""
        depth = self.driver.depth
        into, back = self.requests(True, size, place), self.requests(False, size, place)
        pieces = [random.Random(f"{seed} {number}").randbytes(size) for number in range(depth)]
        with self.image.open("r+b", buffering=0) as disk:
            for number, piece in enumerate(pieces):
                os.pwrite(disk.fileno(), piece, into.disk_offset(number))
        wanted = _digest(pieces)
        for requests in (into, back):
            self.driver.describe(requests)
            self.driver.run(depth)
        if place.memory and _digest([place.memory[: depth * size]]) != wanted:
            raise MachineError(f"{place.name}: reads of {size} bytes have left other bytes there than the disk has")
        with self.image.open("rb", buffering=0) as disk:
            found = [os.pread(disk.fileno(), size, back.disk_offset(number)) for number in range(depth)]
        if _digest(found) != wanted:
            raise MachineError(f"{place.name}: writes of {size} bytes have put other bytes on the disk")


def _digest(pieces: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(pieces)).hexdigest()


@dataclass(frozen=True)
class Load:
    """Requests in flight, in all; and the iothreads, each of which serves a queue of its own.

    With none the main loop serves one queue.
    """

    depth: int
    iothreads: int = 0

    def __str__(self) -> str:
        served = f", {self.iothreads} queues with an iothread each" if self.iothreads else ""
        return f"{self.depth} requests in flight{served}"

    @property
    def queues(self) -> int:
        return max(1, self.iothreads)

    def properties(self) -> dict[str, object]:
        """What the disk is to have for it."""
        entries = max(USUAL_QUEUE, PolledQueue.entries(self.depth // self.queues))
        threads = [{"iothread": name} for name in self._names()]
        mapping = {"iothread-vq-mapping": threads} if threads else {}
        return {"queue-size": entries, "num-queues": self.queues, **mapping}

    def options(self) -> list[str]:
        """The emulator's arguments."""
        return [word for name in self._names() for word in ("-object", f"iothread,id={name}")]

    def _names(self) -> list[str]:
        return [f"thread{number}" for number in range(self.iothreads)]


@contextmanager
def start(new_layout: NewLayout, folder: Path, image: Path, drive: Drive, load: Load) -> Iterator[BlkMachine]:
    """Such an emulator, whose disk bears the load."""
    with new_layout(place_size(load.depth)) as layout:
        properties = {"drive": NODE, **load.properties()}
        devices = [
            *drive.options(image), *load.options(),
            *virtio_device(layout, "virtio-blk-pci", DEVICE_SLOTS[0], properties),
        ]  # fmt: skip
        with running(layout, folder, devices) as (emulator, memory):
            (transport,) = virtio(emulator)
            driver = PolledBlk(transport, memory, load.depth, load.queues)
            yield BlkMachine(emulator, driver, image, layout.places)
