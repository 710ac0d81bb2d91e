# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's driver of two virtio-nets on polled queues: each packet that one transmits is received by the other.

The network between them must deliver a packet before it lets the transmitter go on, as QEMU's hub does. So when a
packet has been transmitted, it must have been received; one that hasn't is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.polled_queue import PolledQueue, RingMemory, keep_in_flight, wait
from drivers.request import RequestFailed, Segment
from drivers.virtio import Transport
from drivers.virtio_net import HEADER_SIZE, RECEIVE, TRANSMIT


@dataclass(frozen=True)
class Packets:
    """Packets of one size, side by side where they are transmitted from and where they are received."""

    size: int
    sent_from: int
    received_at: int


class PolledNet:
    """Both virtio-nets, reset and ready for so many packets in flight."""

    def __init__(self, sender: Transport, receiver: Transport, memory: RingMemory, depth: int) -> None:
        self.depth = depth
        # No packet arrives before there are buffers for it.
        queues = [transport.set_up(0, 2, memory.pages, PolledQueue.entries(depth)) for transport in (receiver, sender)]
        self._receive, self._transmit = (
            PolledQueue(both[index], memory) for both, index in zip(queues, (RECEIVE, TRANSMIT), strict=True)
        )
        self._no_offloads = Segment(memory.pages.take(HEADER_SIZE), HEADER_SIZE)
        self._received_headers = memory.pages.take(HEADER_SIZE * depth)

    def describe(self, packets: Packets) -> None:
        """Write the descriptors of what run() will transmit and receive."""
        transmitted, received = [], []
        for number in range(self.depth):
            begin, end = (at + number * packets.size for at in (packets.sent_from, packets.received_at))
            header = Segment(self._received_headers + number * HEADER_SIZE, HEADER_SIZE)
            transmitted.append(([self._no_offloads, Segment(begin, packets.size)], list[Segment]()))
            received.append((list[Segment](), [header, Segment(end, packets.size)]))
        self._transmit.describe(transmitted)
        self._receive.describe(received)

    def run(self, count: int) -> None:
        """Transmit so many packets, at least as many as are in flight; RequestFailed unless all are received."""
        keep_in_flight(self.depth, count, self._submit, self._transmitted)

    def _submit(self, packets: Sequence[int]) -> None:
        """The buffers come first: a packet that finds none would wait for a notification."""
        self._receive.submit(packets)
        self._transmit.submit(packets)
        self._transmit.notify()

    def _transmitted(self, wanted: int) -> list[int]:
        (answered,) = wait([self._transmit], wanted)
        sent = self._transmit.take(at_most=answered)
        received = self._receive.take(at_most=len(sent))
        if received != sent:
            raise RequestFailed(f"of {len(sent)} packets that were transmitted, {len(received)} were received")
        return sent
