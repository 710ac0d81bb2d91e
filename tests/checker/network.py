# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets into BAR 4 and out of it."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from pathlib import Path

from drivers.request import DeviceNeedsReset, NoAnswer, Segment
from drivers.virtio import VirtioPci
from drivers.virtio_net import VirtioNet
from findings import DIRECTIONS, KIB, LOST_DEVICE, LOST_EMULATOR, NET, NO_ANSWER, OK, TO_BAR, WRONG, Request
from machine import DEVICE_SLOT, Machine, started
from machines.qtest_client import EmulatorError
from peer import Peer
from places import GUARD, InBar, InRam, Place
from storage import ANSWER_SECONDS
from subject import Subject

DRIVER = "virtio-net-pci"
SIZES = (1 * KIB, 8 * KIB)
# An EtherType for experiments, so that nobody looks into the packet.
TYPE_OFFSET, EXPERIMENT = 12, bytes([0x88, 0xB5])


class Network:
    """An emulator with a virtio-net for each packet, so that none suffers from an earlier one."""

    def __init__(self, subject: Subject, peer: Peer, folder: Path, properties: str = "") -> None:
        self._properties = properties
        self._subject = subject
        self._peer = peer
        self._folder = folder

    def attempt(self, direction: str, size: int, in_ram: bool = False) -> Request:
        """One packet, with its data in BAR 4 unless told otherwise."""
        with ExitStack() as stack:
            ours, theirs = map(stack.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
            ours.settimeout(ANSWER_SECONDS)
            fd = theirs.fileno()
            options = ["-netdev", f"dgram,id=net,local.type=fd,local.str={fd}", "-device",
                       f"{DRIVER},netdev=net,romfile=,addr={DEVICE_SLOT:x}.0{self._properties}"]  # fmt: skip
            machine = stack.enter_context(started(self._subject, self._peer, options, self._folder, [fd]))
            message = ""
            try:
                place = InRam(machine) if in_ram else InBar(machine)
                verdict = OK if _carry_out(machine, ours, place, direction, size) else WRONG
            except DeviceNeedsReset:
                verdict = LOST_DEVICE
            except (NoAnswer, TimeoutError) as none:
                verdict, message = NO_ANSWER, str(none)
            except EmulatorError as gone:
                verdict, message = LOST_EMULATOR, f"{gone}; {machine.emulator.state()}"
            return Request(NET, direction, size, verdict, machine.messages().strip() or message)


def _carry_out(machine: Machine, network: socket.socket, place: Place, direction: str, size: int) -> bool:
    """Whether the packet is the same on both sides."""
    driver = VirtioNet(VirtioPci(machine.function(), machine.window), machine.pages)
    before = random.Random(size).randbytes(GUARD + size + GUARD)
    data = [Segment(place.address, size)]
    packet = bytearray(random.Random(direction).randbytes(size))
    packet[TYPE_OFFSET : TYPE_OFFSET + len(EXPERIMENT)] = EXPERIMENT
    wanted = before[:GUARD] + packet + before[GUARD + size :]
    if direction == TO_BAR:
        place.put(before)
        driver.offer(data)
        network.send(packet)
        return driver.received(ANSWER_SECONDS) == size and place.get(len(wanted)) == wanted
    place.put(wanted)
    driver.send(data, ANSWER_SECONDS)
    return network.recv(1 << 16) == packet


def all_sizes(network: Network, sizes: tuple[int, ...] = SIZES) -> list[Request]:
    """A packet of each size in both directions."""
    return [network.attempt(direction, size) for size in sizes for direction in DIRECTIONS]


def works_in_ram(network: Network) -> bool:
    """Whether packets pass that are in ordinary RAM."""
    made = [network.attempt(direction, max(SIZES), in_ram=True) for direction in DIRECTIONS]
    return all(request.verdict == OK for request in made)
