# SPDX-License-Identifier: GPL-2.0-or-later
"""The devices of an inner machine that aren't storage, and how each request to them is made and checked."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass
from pathlib import Path

from drivers.e1000e import E1000e
from drivers.request import Segment
from drivers.virtio import VirtioPci
from drivers.virtio_net import VirtioNet
from drivers.virtio_rng import VirtioRng
from matrix.board import Board
from matrix.dimensions import E1000E, LOST_PACKET, MIB, NET, OK, RNG, SEND, WRONG, Case
from matrix.machine import Machine

SLOTS = {NET: 8, E1000E: 9, RNG: 10}
CARDS = (NET, E1000E)
ENTROPY_SIZE = 1 * MIB
# An EtherType for experiments, so that nobody looks into the packet.
TYPE_OFFSET, EXPERIMENT = 12, bytes([0x88, 0xB5])
# How long a packet may take from one end of a socket to the other.
PACKET_SECONDS = 2.0


class Surroundings:
    """What the devices are connected to: the other end of each network, and a file that is said to be entropy."""

    def __init__(self, folder: Path) -> None:
        self._entropy_file = folder / "entropy"
        self.entropy = random.Random("entropy").randbytes(ENTROPY_SIZE)
        self._entropy_file.write_bytes(self.entropy)
        pairs = {card: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for card in CARDS}
        self.networks = {card: ours for card, (ours, _) in pairs.items()}
        self._theirs = {card: theirs for card, (_, theirs) in pairs.items()}
        for network in self.networks.values():
            network.settimeout(PACKET_SECONDS)

    def descriptors(self) -> list[int]:
        """The file descriptors that the emulator must be given."""
        return [theirs.fileno() for theirs in self._theirs.values()]

    def options(self) -> list[str]:
        """The arguments of an emulator with all these devices."""
        arguments = ["-object", f"rng-random,id=entropy,filename={self._entropy_file}"]
        for card in CARDS:
            fd = self._theirs[card].fileno()
            arguments += ["-netdev", f"dgram,id={card},local.type=fd,local.str={fd}"]
        return [
            *arguments,
            "-device", f"virtio-net-pci,netdev={NET},romfile=,addr={SLOTS[NET]:x}.0",
            "-device", f"e1000e,netdev={E1000E},romfile=,addr={SLOTS[E1000E]:x}.0",
            "-device", f"virtio-rng-pci,rng=entropy,addr={SLOTS[RNG]:x}.0",
        ]  # fmt: skip

    def close(self) -> None:
        for end in (*self.networks.values(), *self._theirs.values()):
            end.close()


@dataclass
class OtherDevice:
    """A driver, and what its device is connected to."""

    driver: VirtioNet | E1000e | VirtioRng
    surroundings: Surroundings
    entropy_used: int = 0


def device(name: str, machine: Machine, surroundings: Surroundings) -> OtherDevice:
    """A fresh driver for the device."""
    function = machine.function(SLOTS[name])
    driver: VirtioNet | E1000e | VirtioRng
    if name == E1000E:
        driver = E1000e(function, machine.window, machine.pages)
    elif name == NET:
        driver = VirtioNet(VirtioPci(function, machine.window), machine.pages)
    else:
        driver = VirtioRng(VirtioPci(function, machine.window), machine.pages)
    return OtherDevice(driver, surroundings)


def carry_out(case: Case, device: OtherDevice, board: Board, timeout: float) -> tuple[str, str]:
    """Do what the case says; the verdict on all contents, and what is wrong with them."""
    data = board.segments(case.place, case.size)
    try:
        if isinstance(device.driver, VirtioRng):
            written = device.driver.fill(data, timeout)
            board.expect(data, device.surroundings.entropy[device.entropy_used : device.entropy_used + case.size])
            device.entropy_used += written
            found = [] if written == case.size else [f"{written} bytes of entropy instead of {case.size}"]
        elif case.operation == SEND:
            packet = _packet(board, data)
            device.driver.send(data, timeout)
            try:
                found = [] if device.surroundings.networks[case.device].recv(1 << 16) == packet else ["another packet"]
            except TimeoutError:
                return LOST_PACKET, ""
        else:
            packet = random.Random(repr(case)).randbytes(case.size)
            device.driver.offer(data)
            device.surroundings.networks[case.device].send(packet)
            size = device.driver.received(timeout)
            board.expect(data, packet)
            found = [] if size == case.size else [f"a packet of {size} bytes instead of {case.size}"]
    except Exception:
        board.forget(data)
        raise
    found += board.differences(data)
    if not found:
        return OK, ""
    board.forget(data)
    return WRONG, "; ".join(found)


def _packet(board: Board, data: list[Segment]) -> bytes:
    """A packet of random contents, put where the case wants it."""
    packet = bytearray(board.fill_randomly(data))
    packet[TYPE_OFFSET : TYPE_OFFSET + len(EXPERIMENT)] = EXPERIMENT
    board.fill(data, bytes(packet))
    return bytes(packet)
