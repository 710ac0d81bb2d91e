# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulator with one virtio-blk, and places for its data: RAM, and RAM devices beside it."""

from __future__ import annotations

import hashlib
import mmap
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.blk_drives import NODE, Drive
from bench.polled_queue import DEPTH, PolledQueue, Requests
from bench.timed_emulator import symbols
from drivers import pci
from drivers.pages import PAGE, Pages
from drivers.virtio import VirtioPci
from machines import secret_memory
from machines.error import MachineError, NotAvailable
from machines.qtest_client import Emulator

MIB = 1 << 20
LARGEST = MIB
PLACE_SIZE = DEPTH * LARGEST
# On the disk requests have gaps. They read from its first half, and write to the second.
DISK_HALF = 2 * PLACE_SIZE
# The data in RAM begins where a huge page does; RAM is anonymous memory, as an operator has it.
RAM_DATA = 0x4000_0000 + 2 * MIB
RAM_MIB = 64
BOUNCED_SLOT, DIRECT_SLOT, RINGS_SLOT, DISK_SLOT, SMALL_SLOT, UNPINNABLE_SLOT = range(3, 9)
BOUNCED_BAR, DIRECT_BAR, RINGS_BAR, SMALL_BAR, UNPINNABLE_BAR = (pci.HIGH_MMIO + i * 64 * MIB for i in range(5))
# The BAR with the memory, of the test device and of ivshmem.
DATA_BAR = 2
RINGS_SIZE = 16 * PAGE
REGISTERS = 0x2000_0000
# Where added_bar.c puts its region: above everything that the machine "virt" has.
ADDED_BAR = 1 << 44
RAISED_LIMIT = 64 * MIB

RAM, SMALL_PAGES = "RAM", "RAM of small pages"
BOUNCED, DIRECT, STOCK = "BAR", "BAR, x-ram-device-direct=on", "stock's BAR, x-max-bounce-buffer-size=64M"
UNPINNABLE = "BAR that the kernel refuses to pin"


@dataclass(frozen=True)
class Place:
    """Where a request's data is; what is in a RAM device can be seen in its memory."""

    name: str
    address: int
    memory: mmap.mmap | None


@dataclass
class Machine:
    """A running emulator."""

    emulator: Emulator
    queue: PolledQueue
    image: Path
    places: Sequence[Place]

    def requests(self, from_disk: bool, size: int, place: Place) -> Requests:
        return Requests(from_disk, size, place.address, 0 if from_disk else DISK_HALF)

    def check_contents(self, size: int, place: Place, seed: str) -> None:
        """Move new bytes from the disk to the place and back: what arrives must be what was there."""
        into, back = self.requests(True, size, place), self.requests(False, size, place)
        pieces = [random.Random(f"{seed} {number}").randbytes(size) for number in range(DEPTH)]
        with self.image.open("r+b", buffering=0) as disk:
            for number, piece in enumerate(pieces):
                os.pwrite(disk.fileno(), piece, into.disk_offset(number))
        wanted = _digest(pieces)
        for requests in (into, back):
            self.queue.describe(requests)
            self.queue.run(DEPTH)
        if place.memory and hashlib.sha256(place.memory[: DEPTH * size]).hexdigest() != wanted:
            raise MachineError(f"{place.name}: reads of {size} bytes have left other bytes there than the disk has")
        with self.image.open("rb", buffering=0) as disk:
            found = [os.pread(disk.fileno(), size, back.disk_offset(number)) for number in range(DEPTH)]
        if _digest(found) != wanted:
            raise MachineError(f"{place.name}: writes of {size} bytes have put other bytes on the disk")


def _digest(pieces: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(pieces)).hexdigest()


@contextmanager
def _shared_memory(name: str, size: int) -> Iterator[tuple[int, mmap.mmap]]:
    file = os.memfd_create(name)
    try:
        os.truncate(file, size)
        yield file, mmap.mmap(file, size)
    finally:
        os.close(file)


def _ram_bar(name: str, slot: int, size: int, file: int) -> list[str]:
    return [
        "-object", f"memory-backend-file,id={name},share=on,size={size},mem-path=/proc/self/fd/{file}",
        "-device", f"ivshmem-plain,memdev={name},addr={slot:x}.0",
    ]  # fmt: skip


def _common_options(drive: Drive, image: Path, rings: int, disk: str) -> list[str]:
    return [
        "-M", "virt", "-accel", "qtest", "-m", f"{RAM_MIB}M", "-display", "none", "-nodefaults",
        *_ram_bar("rings", RINGS_SLOT, RINGS_SIZE, rings),
        *drive.options(image), "-device", f"virtio-blk-pci,addr={DISK_SLOT:x}.0,drive={NODE},{disk}disable-legacy=on",
    ]  # fmt: skip


@contextmanager
def _set_up(command: Sequence[str], folder: Path, files: Sequence[int], shared: mmap.mmap, image: Path,
            places: Sequence[Place]) -> Iterator[Machine]:  # fmt: skip
    messages = folder / "messages"
    messages.touch()
    with Emulator(command, messages, files) as emulator:
        qtest = emulator.qtest
        pci.Function(qtest, RINGS_SLOT).place_bar(DATA_BAR, RINGS_BAR)
        pages = Pages(qtest, RINGS_BAR, RINGS_BAR + RINGS_SIZE)
        (queue,) = VirtioPci(pci.Function(qtest, DISK_SLOT), pci.Window(REGISTERS)).set_up(0, 1, pages)
        heads = pages.take()
        polled = PolledQueue(queue, memoryview(shared), queue.page - RINGS_BAR, heads - RINGS_BAR, heads)
        yield Machine(emulator, polled, image, places)


def lacks_unpinnable() -> str:
    """Why there is no BAR that the kernel refuses to pin; nothing if there is."""
    try:
        os.close(secret_memory.new(PLACE_SIZE))
    except NotAvailable as why:
        return str(why)
    return ""


@contextmanager
def _unpinnable() -> Iterator[tuple[list[int], list[str], list[Place]]]:
    """The descriptors, the arguments and the places for such a BAR, none if there is none."""
    if lacks_unpinnable():
        yield [], [], []
        return
    memory = secret_memory.new(PLACE_SIZE)
    device = f"ram-device-testdev,mem-size={PLACE_SIZE},mem-path=/dev/fdset/1,addr={UNPINNABLE_SLOT:x}.0"
    try:
        with secret_memory.mapped(memory, PLACE_SIZE) as mapped:
            options = ["-add-fd", f"fd={memory},set=1", "-device", device]
            yield [memory], options, [Place(UNPINNABLE, UNPINNABLE_BAR, mapped)]
    finally:
        os.close(memory)


@contextmanager
def patched(emulator: Path, folder: Path, image: Path, drive: Drive) -> Iterator[Machine]:
    """With RAM, RAM that has no huge pages, as a BAR has none, and three BARs.

    Of these one, if it can be had, is such that the kernel refuses to pin its pages, and into one pointers are handed
    out.
    """
    with (
        _unpinnable() as (descriptors, options, unpinnable),
        _shared_memory("rings", RINGS_SIZE) as (rings, shared),
        _shared_memory("small", PLACE_SIZE) as (small, small_memory),
        _shared_memory("bounced", PLACE_SIZE) as (bounced, bounced_memory),
        _shared_memory("direct", PLACE_SIZE) as (direct, direct_memory),
    ):
        device = f"ram-device-testdev,mem-size={PLACE_SIZE},mem-path=/proc/self/fd/"
        command = [
            str(emulator), *_common_options(drive, image, rings, ""), *_ram_bar("small", SMALL_SLOT, PLACE_SIZE, small),
            "-device", f"{device}{bounced},addr={BOUNCED_SLOT:x}.0", *options,
            "-device", f"{device}{direct},addr={DIRECT_SLOT:x}.0,x-ram-device-direct=on",
        ]  # fmt: skip
        places = [
            Place(RAM, RAM_DATA, None),
            Place(SMALL_PAGES, SMALL_BAR, small_memory),
            Place(BOUNCED, BOUNCED_BAR, bounced_memory),
            *unpinnable,
            Place(DIRECT, DIRECT_BAR, direct_memory),
        ]
        bars = {SMALL_PAGES: SMALL_SLOT, BOUNCED: BOUNCED_SLOT, DIRECT: DIRECT_SLOT, UNPINNABLE: UNPINNABLE_SLOT}
        files = (rings, small, bounced, direct, *descriptors)
        with _set_up(command, folder, files, shared, image, places) as machine:
            for place in places:
                if place.name in bars:
                    pci.Function(machine.emulator.qtest, bars[place.name]).place_bar(DATA_BAR, place.address)
            yield machine


@contextmanager
def stock(emulator: Path, folder: Path, image: Path, drive: Drive, added_bar: Path) -> Iterator[Machine]:
    """With RAM and a RAM device that is added; only with its limit raised can the disk do DMA there at all.

    The limit is one of the disk's own address space, which virtio uses with iommu_platform=on only.
    """
    with (
        _shared_memory("rings", RINGS_SIZE) as (rings, shared),
        _shared_memory("added", PLACE_SIZE) as (added, added_memory),
    ):
        disk = f"iommu_platform=on,x-max-bounce-buffer-size={RAISED_LIMIT},"
        command = [
            "env", f"LD_PRELOAD={added_bar}", f"RAM_DEVICE_BENCH_SYMBOLS={symbols(emulator)}",
            f"RAM_DEVICE_BENCH_BAR={added},{PLACE_SIZE},{ADDED_BAR}",
            str(emulator), *_common_options(drive, image, rings, disk),
        ]  # fmt: skip
        places = [Place(RAM, RAM_DATA, None), Place(STOCK, ADDED_BAR, added_memory)]
        with _set_up(command, folder, (rings, added), shared, image, places) as machine:
            yield machine
