# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulator with two virtio-nets on one hub, so that each receives what the other transmits.

One end of a packet is in RAM; the other one is in the place that is looked at.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.places import RAM_DATA, Place
from bench.places_machine import DEVICE_SLOTS, NewLayout, running, virtio, virtio_device
from bench.polled_net import Packets, PolledNet
from bench.ratio import KIB
from machines.error import MachineError
from machines.qtest_client import Emulator

SENDER, RECEIVER = CARDS = ("sender", "receiver")
# Packets in flight, half of which cost one command of qtest.
DEPTH = 64
LARGEST = 64 * KIB
PLACE_SIZE = DEPTH * LARGEST
FAR_END = Place("the other end", RAM_DATA + PLACE_SIZE)


@dataclass
class NetMachine:
    """A running emulator."""

    emulator: Emulator
    driver: PolledNet
    places: Sequence[Place]

    def packets(self, is_sent: bool, size: int, place: Place) -> Packets:
        """What is transmitted from the place, or received there."""
        ends = (place, FAR_END) if is_sent else (FAR_END, place)
        return Packets(size, *(end.address for end in ends))

    def check_contents(self, is_sent: bool, size: int, place: Place, seed: str) -> None:
        """New bytes at one end must arrive at the other."""
        qtest = self.emulator.qtest
        begin, end = (place, FAR_END) if is_sent else (FAR_END, place)
        packets = random.Random(seed).randbytes(DEPTH * size)
        begin.write(qtest, packets)
        self.driver.describe(self.packets(is_sent, size, place))
        self.driver.run(DEPTH)
        if end.read(qtest, len(packets)) != packets:
            raise MachineError(f"from {begin.name} to {end.name}: packets of {size} bytes have arrived as other bytes")


@contextmanager
def start(new_layout: NewLayout, folder: Path) -> Iterator[NetMachine]:
    """Such an emulator."""
    with new_layout(PLACE_SIZE) as layout:
        devices = []
        for card, slot in zip(CARDS, DEVICE_SLOTS, strict=True):
            devices += ["-netdev", f"hubport,id={card},hubid=0"]
            devices += virtio_device(layout, "virtio-net-pci", slot, {"netdev": card, "romfile": ""})
        with running(layout, folder, devices) as (emulator, memory):
            sender, receiver = virtio(emulator)
            yield NetMachine(emulator, PolledNet(sender, receiver, memory, DEPTH), layout.places)
