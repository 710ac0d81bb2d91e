# SPDX-License-Identifier: GPL-2.0-or-later
"""A running emulator with places for data, and with memory for rings; its user says which devices it has besides."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from bench import places
from bench.places import DATA_BAR, MIB, Layout, ram_bar, shared_memory
from bench.polled_queue import RingMemory
from drivers import pci
from drivers.pages import PAGE
from drivers.virtio import VirtioPci
from machines.qtest_client import Emulator

RINGS_SLOT, *DEVICE_SLOTS = range(7, 10)
RINGS_BAR = pci.HIGH_MMIO
RINGS_SIZE = 32 * PAGE
REGISTERS = 0x2000_0000
SMALLEST_RAM = 64 * MIB

NewLayout = Callable[[int], AbstractContextManager[Layout]]


def patched(emulator: Path) -> NewLayout:
    """How a patched emulator gets places of a size."""
    return lambda size: places.patched(emulator, size)


def stock(emulator: Path, added_bar: Path) -> NewLayout:
    """How a stock emulator gets them."""
    return lambda size: places.stock(emulator, size, added_bar)


@contextmanager
def running(layout: Layout, folder: Path, devices: Sequence[str]) -> Iterator[tuple[Emulator, RingMemory]]:
    """The emulator, its BARs placed, with such devices; what it says is added to the folder's file of messages.

    Its RAM has room for four times as much as a place.
    """
    messages = folder / "messages"
    messages.touch()
    with shared_memory("rings", RINGS_SIZE) as (rings, shared):
        ram = max(SMALLEST_RAM, 4 * layout.size)
        command = [
            *layout.command, "-M", "virt", "-accel", "qtest", "-m", f"{ram // MIB}M", "-display", "none",
            "-nodefaults", *ram_bar("rings", RINGS_SLOT, RINGS_SIZE, rings), *devices,
        ]  # fmt: skip
        with Emulator(command, messages, [rings, *layout.files]) as emulator:
            pci.Function(emulator.qtest, RINGS_SLOT).place_bar(DATA_BAR, RINGS_BAR)
            layout.place_bars(emulator.qtest)
            yield emulator, RingMemory(emulator.qtest, RINGS_BAR, shared)


def virtio_device(layout: Layout, driver: str, slot: int, properties: Mapping[str, object]) -> list[str]:
    """The emulator's arguments for a virtio device that does DMA to the layout's places."""
    device = {"driver": driver, "addr": f"{slot:x}.0", "disable-legacy": "on", **layout.dma_properties, **properties}
    return ["-device", json.dumps(device)]


def virtio(emulator: Emulator) -> list[VirtioPci]:
    """The virtio devices in the slots for devices."""
    window = pci.Window(REGISTERS)
    functions = (pci.Function(emulator.qtest, slot) for slot in DEVICE_SLOTS)
    return [VirtioPci(function, window) for function in functions if function.identity() != 0xFFFF_FFFF]
