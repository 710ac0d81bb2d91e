# SPDX-License-Identifier: GPL-2.0-or-later
"""Emulators with places for a request's data: RAM, and BARs, which are RAM devices."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.timed_emulator import symbols
from drivers import pci
from machines import secret_memory
from machines.error import NotAvailable
from machines.qtest_client import QTest

MIB = 1 << 20
# The data in RAM begins where a huge page does; RAM is anonymous memory, as an operator has it.
RAM_DATA = 0x4000_0000 + 2 * MIB
SMALL_SLOT, BOUNCED_SLOT, UNPINNABLE_SLOT, DIRECT_SLOT = range(3, 7)
# BARs are at multiples of their size, as many as their slot says, but at least of so many bytes.
BAR_DISTANCE = 64 * MIB
# The BAR with the memory, of the test device and of ivshmem.
DATA_BAR = 2
# Where added_bar.c puts its region: above everything that the machine "virt" has.
ADDED_BAR = 1 << 44

RAM, SMALL_PAGES = "RAM", "RAM of small pages"
BOUNCED, DIRECT, UNPINNABLE = "BAR", "BAR, x-ram-device-direct=on", "BAR that the kernel refuses to pin"


@dataclass(frozen=True)
class Place:
    """Where requests' data is; what is in a BAR can be seen in its memory."""

    name: str
    address: int
    memory: mmap.mmap | None = None
    slot: int | None = None
    """Of the PCI device that has it."""

    def read(self, qtest: QTest, size: int) -> bytes:
        """What it begins with, past the emulator if it can be seen so."""
        return self.memory[:size] if self.memory else qtest.read(self.address, size)

    def write(self, qtest: QTest, data: bytes) -> None:
        """Put something at its beginning, in the same way."""
        if self.memory:
            self.memory[: len(data)] = data
        else:
            qtest.write(self.address, data)


@dataclass(frozen=True)
class Layout:
    """How an emulator is started that has places of some size, which is a power of two."""

    command: Sequence[str]
    files: Sequence[int]
    """Descriptors that are passed on to it."""
    size: int
    places: Sequence[Place]
    dma_properties: Mapping[str, object] = field(default_factory=dict)
    """What a virtio device needs to do DMA to them."""

    def place_bars(self, qtest: QTest) -> None:
        for place in self.places:
            if place.slot is not None:
                pci.Function(qtest, place.slot).place_bar(DATA_BAR, place.address)


@contextmanager
def shared_memory(name: str, size: int) -> Iterator[tuple[int, mmap.mmap]]:
    """Memory for an emulator and this process: its descriptor, and the memory."""
    file = os.memfd_create(name)
    try:
        os.truncate(file, size)
        yield file, mmap.mmap(file, size)
    finally:
        os.close(file)


def ram_bar(name: str, slot: int, size: int, file: int) -> list[str]:
    """A BAR that is RAM to the emulator."""
    return [
        "-object", f"memory-backend-file,id={name},share=on,size={size},mem-path=/proc/self/fd/{file}",
        "-device", f"ivshmem-plain,memdev={name},addr={slot:x}.0",
    ]  # fmt: skip


def _test_device(slot: int, size: int, path: str) -> list[str]:
    return ["-device", f"ram-device-testdev,mem-size={size},addr={slot:x}.0,mem-path={path}"]


def _place(name: str, slot: int, memory: mmap.mmap) -> Place:
    return Place(name, pci.HIGH_MMIO + slot * max(BAR_DISTANCE, len(memory)), memory, slot)


def lacks_unpinnable(size: int) -> str:
    """Why there is no BAR of so many bytes that the kernel refuses to pin; nothing if there is."""
    try:
        os.close(secret_memory.new(size))
    except NotAvailable as why:
        return str(why)
    return ""


@contextmanager
def _unpinnable(size: int) -> Iterator[tuple[list[int], list[str], list[Place]]]:
    """The descriptors, the arguments and the places for such a BAR, none if there is none."""
    if lacks_unpinnable(size):
        yield [], [], []
        return
    memory = secret_memory.new(size)
    options = ["-add-fd", f"fd={memory},set=1", *_test_device(UNPINNABLE_SLOT, size, "/dev/fdset/1")]
    try:
        with secret_memory.mapped(memory, size) as mapped:
            yield [memory], options, [_place(UNPINNABLE, UNPINNABLE_SLOT, mapped)]
    finally:
        os.close(memory)


@contextmanager
def patched(emulator: Path, size: int) -> Iterator[Layout]:
    """With RAM, RAM that has no huge pages, as a BAR has none, and three BARs.

    Of these one, if it can be had, is such that the kernel refuses to pin its pages, and into one pointers are handed
    out.
    """
    with (
        _unpinnable(size) as (descriptors, options, unpinnable),
        shared_memory("small", size) as (small, small_memory),
        shared_memory("bounced", size) as (bounced, bounced_memory),
        shared_memory("direct", size) as (direct, direct_memory),
    ):
        command = [
            str(emulator), *ram_bar("small", SMALL_SLOT, size, small),
            *_test_device(BOUNCED_SLOT, size, f"/proc/self/fd/{bounced}"), *options,
            *_test_device(DIRECT_SLOT, size, f"/proc/self/fd/{direct},x-ram-device-direct=on"),
        ]  # fmt: skip
        places = [
            Place(RAM, RAM_DATA),
            _place(SMALL_PAGES, SMALL_SLOT, small_memory),
            _place(BOUNCED, BOUNCED_SLOT, bounced_memory),
            *unpinnable,
            _place(DIRECT, DIRECT_SLOT, direct_memory),
        ]
        yield Layout(command, [small, bounced, direct, *descriptors], size, places)


def _raised_limit(size: int) -> int:
    """Of stock's bounce buffers, which all data in flight must fit into."""
    return max(64 * MIB, 2 * size)


def stocks_bar(size: int) -> str:
    """The name of the place that stock has besides RAM."""
    return f"stock's BAR, x-max-bounce-buffer-size={_raised_limit(size) // MIB}M"


@contextmanager
def stock(emulator: Path, size: int, added_bar: Path) -> Iterator[Layout]:
    """With RAM and a RAM device that is added; only with its limit raised can a device do DMA there at all.

    The limit is one of the device's own address space, which virtio uses with iommu_platform=on only.
    """
    with shared_memory("added", size) as (added, memory):
        command = [
            "env", f"LD_PRELOAD={added_bar}", f"RAM_DEVICE_BENCH_SYMBOLS={symbols(emulator)}",
            f"RAM_DEVICE_BENCH_BAR={added},{size},{ADDED_BAR}", str(emulator),
        ]  # fmt: skip
        places = [Place(RAM, RAM_DATA), Place(stocks_bar(size), ADDED_BAR, memory)]
        dma_properties = {"iommu_platform": True, "x-max-bounce-buffer-size": _raised_limit(size)}
        yield Layout(command, [added], size, places, dma_properties)
