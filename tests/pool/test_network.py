# SPDX-License-Identifier: GPL-2.0-or-later
"""C9 for a network card: what it receives waits for buffers, and what it has begun to receive gets all that it needs.

A packet that the network doesn't take keeps the card's buffers meanwhile: it has a large part that could be written.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.request import Segment, wait_until
from drivers.virtio import DEVICE_NEEDS_RESET, DeepQueue, VirtioPci, Virtqueue
from drivers.virtio_net import HEADER_SIZE, RECEIVE, TRANSMIT
from machines import emulators
from machines.bar_of_file import FIRST_FREE_SLOT, Machine, machine
from pool.machine import EVERY_ANSWER_SECONDS, MIB, WAITS

KIB = 1024
BUDGET, BAR_SIZE = 2 * MIB, 4 * MIB
MERGEABLE = 1 << 15
# The card takes a chain off a queue.
TAKEN = "virtqueue_pop"
SENT, LENGTH = b"what the network takes late", 6000
PACKET = random.Random(1).randbytes(LENGTH)
# Where packets are received in the BAR, a buffer's beginning each 8 KiB, behind what the card holds.
RECEIVED, BUFFER = BUDGET, 8 * KIB


@dataclass
class Card:
    """A machine with a card whose network, the other end of which is `wire`, takes nothing for now."""

    machine: Machine
    transport: VirtioPci
    queues: list[Virtqueue]
    wire: socket.socket

    def hold(self, size: int) -> None:
        """Have the card send a packet, and keep buffers of that size for it."""
        packet = self.machine.pages.take()
        self.machine.emulator.qtest.write(packet + HEADER_SIZE, SENT)
        data = Segment(packet, HEADER_SIZE + len(SENT))
        self.queues[TRANSMIT].submit([data], [Segment(self.machine.address, size)])
        wait_until(lambda: TAKEN in self.machine.emulator.messages(), "the card", EVERY_ANSWER_SECONDS)

    def offer(self, size: int) -> None:
        """Have it receive in buffers of that size, headers included."""
        at = self.machine.address + RECEIVED
        buffers = [Segment(at + number * BUFFER, size) for number in range(DeepQueue.BATCH)]
        DeepQueue(self.queues[RECEIVE]).submit(DeepQueue.table([([], [buffer]) for buffer in buffers]))

    def used(self, queue: int) -> int:
        """How many chains of that queue are done."""
        return self.machine.emulator.qtest.read16(self.queues[queue].used + 2)

    def wait_for(self, chains: int) -> None:
        wait_until(lambda: self.used(RECEIVE) == chains, "what is received", EVERY_ANSWER_SECONDS)

    def buffer(self, number: int, size: int) -> bytes:
        return self.machine.bar(RECEIVED + number * BUFFER, size)


@contextmanager
def card(folder: Path, features: int) -> Iterator[Card]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.settimeout(EVERY_ANSWER_SECONDS)
    with ours, theirs:
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                theirs.send(b"what the network has not taken yet")
        options = [
            "-trace", WAITS, "-trace", TAKEN, "-netdev", f"dgram,id=wire,local.type=fd,local.str={theirs.fileno()}",
            "-device", f"virtio-net-pci,netdev=wire,romfile=,addr={FIRST_FREE_SLOT:x}.0",
        ]  # fmt: skip
        with machine(
            emulators.wanted("patched"), folder, BAR_SIZE, options, [theirs.fileno()], budget=BUDGET
        ) as running:
            transport = VirtioPci(running.function(FIRST_FREE_SLOT), running.window)
            yield Card(running, transport, transport.set_up(features, 2, running.pages), ours)


def test_c9_a_packet_that_comes_while_there_is_no_buffer_is_received_later(tmp_path: Path) -> None:
    with card(tmp_path, 0) as net:
        net.hold(BUDGET - 4 * KIB)
        net.offer(8 * KIB)
        net.wire.send(PACKET)
        wait_until(lambda: WAITS in net.machine.emulator.messages(), "the packet", EVERY_ANSWER_SECONDS)
        assert (net.used(RECEIVE), net.used(TRANSMIT)) == (0, 0)
        while net.wire.recv(LENGTH) != SENT:
            pass
        net.wait_for(1)
        assert net.buffer(0, HEADER_SIZE + LENGTH)[HEADER_SIZE:] == PACKET
        assert not net.transport.status & DEVICE_NEEDS_RESET


def test_c9_a_packet_that_has_begun_gets_all_of_its_buffers(tmp_path: Path) -> None:
    """There is room for the first buffer alone; to leave a packet in its middle breaks the device."""
    first = 4 * KIB - HEADER_SIZE
    with card(tmp_path, MERGEABLE) as net:
        net.hold(BUDGET - 6 * KIB)
        net.offer(4 * KIB)
        net.wire.send(PACKET)
        net.wait_for(2)
        assert net.used(TRANSMIT) == 0
        assert net.buffer(0, 4 * KIB)[HEADER_SIZE:] == PACKET[:first]
        assert net.buffer(1, LENGTH - first) == PACKET[first:]
        assert not net.transport.status & DEVICE_NEEDS_RESET
        assert WAITS not in net.machine.emulator.messages()
