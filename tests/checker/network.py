# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets into BAR 4 and out of it."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from checker import answers
from checker.findings import DIRECTIONS, KIB, NET, OK, TO_BAR, WRONG, Request
from checker.machine import DEVICE_SLOT, Machine, started
from checker.peer import Peer
from checker.places import GUARD, InBar, InRam, Place
from checker.subject import Subject
from drivers.request import Segment
from drivers.virtio import VirtioPci
from drivers.virtio_net import VirtioNet

DRIVER = "virtio-net-pci"
SIZES = (1 * KIB, 8 * KIB)
# An EtherType for experiments, so that nobody looks into the packet.
TYPE_OFFSET, EXPERIMENT = 12, bytes([0x88, 0xB5])
MOST = 1 << 16


class Network:
    """An emulator with a virtio-net for each packet, so that none suffers from an earlier one."""

    def __init__(self, subject: Subject, peer: Peer, folder: Path, properties: str = "") -> None:
        self._properties = properties
        self._subject = subject
        self._peer = peer
        self._folder = folder

    def attempt(self, direction: str, size: int, in_ram: bool = False) -> Request:
        """One packet, with its data in BAR 4 unless told otherwise."""
        with self.connected() as (machine, network):

            def carried_out() -> str:
                place = InRam(machine) if in_ram else InBar(machine)
                return OK if _carry_out(machine, network, place, direction, size) else WRONG

            found = answers.answer(machine, carried_out)
            return Request(NET, direction, size, found.verdict, found.message)

    @contextmanager
    def connected(self) -> Iterator[tuple[Machine, socket.socket]]:
        """An emulator, and its network: each datagram is a packet."""
        with ExitStack() as stack:
            ours, theirs = map(stack.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
            ours.settimeout(self._subject.patience)
            fd = theirs.fileno()
            options = ["-netdev", f"dgram,id=net,local.type=fd,local.str={fd}", "-device",
                       f"{DRIVER},netdev=net,romfile=,addr={DEVICE_SLOT:x}.0{self._properties}"]  # fmt: skip
            yield stack.enter_context(started(self._subject, self._peer, options, self._folder, [fd])), ours


def packet(seed: str, size: int) -> bytes:
    made = random.Random(seed).randbytes(size)
    return made[:TYPE_OFFSET] + EXPERIMENT + made[TYPE_OFFSET + len(EXPERIMENT) :]


def new_driver(machine: Machine) -> VirtioNet:
    return VirtioNet(VirtioPci(machine.function(), machine.window), machine.pages)


def _carry_out(machine: Machine, network: socket.socket, place: Place, direction: str, size: int) -> bool:
    """Whether the packet is the same on both sides."""
    driver = new_driver(machine)
    before = random.Random(size).randbytes(GUARD + size + GUARD)
    data = [Segment(place.address, size)]
    passing = packet(direction, size)
    wanted = before[:GUARD] + passing + before[GUARD + size :]
    if direction == TO_BAR:
        place.put(before)
        driver.offer(data)
        network.send(passing)
        return driver.received(machine.subject.patience) == size and place.get(len(wanted)) == wanted
    place.put(wanted)
    driver.send(data, machine.subject.patience)
    return network.recv(MOST) == passing


def all_sizes(network: Network, sizes: tuple[int, ...] = SIZES) -> list[Request]:
    """A packet of each size in both directions."""
    return [network.attempt(direction, size) for size in sizes for direction in DIRECTIONS]


def works_in_ram(network: Network) -> bool:
    """Whether packets pass that are in ordinary RAM."""
    made = [network.attempt(direction, max(SIZES), in_ram=True) for direction in DIRECTIONS]
    return all(request.verdict == OK for request in made)
