# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-net packets, both ways, that lie in the assigned BAR."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress

from drivers.request import DeviceNeedsReset, Segment
from drivers.virtio import DEVICE_NEEDS_RESET, EVENT_INDEX, DeepQueue, VirtioPci
from drivers.virtio_net import HEADER_SIZE, RECEIVE, TRANSMIT
from storm.assigned import HIGH_WINDOW, Machine
from storm.traffic import Counts

PACKET, SLOT_SIZE = 1514, 2048
SENT_FROM, RECEIVED_AT = HIGH_WINDOW, HIGH_WINDOW + DeepQueue.BATCH * SLOT_SIZE
RECEIVED_OFFSET = RECEIVED_AT - HIGH_WINDOW
# An EtherType for experiments, so that nobody looks into the packet.
ETHERNET_HEADER = bytes([0xFF] * 12 + [0x88, 0xB5])
BUFFER_FOR_PACKETS = 1 << 20


class Network:
    """The other end of the card's network: a pair of sockets, of which the emulator gets one."""

    def __init__(self) -> None:
        self.ours, self.its = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        for end in (self.ours, self.its):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_FOR_PACKETS)
        self.ours.setblocking(False)

    def options(self, slot: int) -> list[str]:
        netdev = f"dgram,id=net,local.type=fd,local.str={self.its.fileno()}"
        return ["-netdev", netdev, "-device", f"virtio-net-pci,netdev=net,romfile=,addr={slot:x}.0"]

    def close(self) -> None:
        for end in (self.ours, self.its):
            end.close()

    def arrived(self) -> list[bytes]:
        """The packets that have come since one last asked."""
        packets = []
        with suppress(BlockingIOError):
            while True:
                packets.append(self.ours.recv(SLOT_SIZE))
        return packets


def made_up(arrived: Iterable[bytes], sent: Sequence[bytes]) -> list[str]:
    """What has arrived and is none of the packets that were sent, or is one for the second time."""
    left, found = list(sent), []
    for packet in arrived:
        if packet in left:
            left.remove(packet)
        else:
            known = "for the second time" if packet in sent else "that the guest did not make"
            found.append(f"a packet of {len(packet)} bytes was sent {known}")
    return found


def is_neither(found: bytes, before: bytes, packets: Iterable[bytes]) -> bool:
    """Whether a place in the BAR has a byte that is neither as it was nor that of the one packet that came there."""
    return found != before and not any(
        all(now in either for now, *either in zip(found, before, packet + before[len(packet) :], strict=True))
        for packet in packets
    )


class NetTraffic:
    """A batch is as many packets sent as received.

    A packet that is missing counts as an error, and so does one that is not whole in the BAR: each byte is the packet's
    or as it was, else it is wrong. What was sent and is none of the guest's packets, each once, is wrong as well.
    """

    def __init__(self, machine: Machine, slot: int, network: Network) -> None:
        self.counts = Counts()
        self._machine = machine
        self._network = network
        self._transport = VirtioPci(machine.function(slot), machine.window)
        header = Segment(machine.pages.take(), HEADER_SIZE)
        received_header = Segment(machine.pages.take(), HEADER_SIZE)
        places = range(DeepQueue.BATCH)
        self._sending = DeepQueue.table([([header, Segment(SENT_FROM + i * SLOT_SIZE, PACKET)], []) for i in places])
        self._receiving = DeepQueue.table(
            [([], [received_header, Segment(RECEIVED_AT + i * SLOT_SIZE, SLOT_SIZE)]) for i in places]
        )
        self._random = random.Random("packets")
        self._to_send: list[bytes] = []
        self._to_receive: list[bytes] = []
        self._before = b""
        self._is_held = False
        # What may still come: packets of batches that were given up, and then of those that they have delayed.
        self._earlier: list[bytes] = []
        self.start_anew()

    def start_anew(self) -> None:
        queues = self._transport.set_up(EVENT_INDEX, 2, self._machine.pages)
        self._receive, self._transmit = DeepQueue(queues[RECEIVE]), DeepQueue(queues[TRANSMIT])
        self._network.arrived()
        self._earlier += self._to_receive

    def submit(self) -> None:
        if self._earlier:
            self._earlier += self._to_receive
        self._to_send, self._to_receive = (
            [ETHERNET_HEADER + self._random.randbytes(PACKET - len(ETHERNET_HEADER)) for _ in range(DeepQueue.BATCH)]
            for _ in range(2)
        )
        for i, packet in enumerate(self._to_send):
            self._machine.memory[i * SLOT_SIZE : i * SLOT_SIZE + PACKET] = packet
        self._before = self._random.randbytes(DeepQueue.BATCH * SLOT_SIZE)
        self._machine.memory[RECEIVED_OFFSET : RECEIVED_OFFSET + len(self._before)] = self._before
        self._receive.submit(self._receiving)
        self._transmit.submit(self._sending)
        if not self._is_held:
            self._deliver()

    def hold(self) -> None:
        self._is_held = True

    def let_go(self) -> None:
        self._is_held = False
        self._deliver()

    def _deliver(self) -> None:
        for packet in self._to_receive:
            self._network.ours.send(packet)

    def is_taken(self) -> bool:
        """Whether all that is to be sent is taken: at the addresses of a BAR that is disabled there is no RAM device,
        and what is found there is sent. Buffers for packets are taken when a packet comes: the BAR may go before."""
        return self._transmit.is_taken()

    def is_answered(self) -> bool:
        answered = self._receive.is_answered() and self._transmit.is_answered()
        if not answered and self._transport.status & DEVICE_NEEDS_RESET:
            raise DeviceNeedsReset
        return answered

    def collect(self) -> None:
        arrived = self._network.arrived()
        sent = sum(packet in arrived for packet in self._to_send)
        self.counts.wrong += made_up(arrived, self._to_send)
        now = self._machine.memory[RECEIVED_OFFSET : RECEIVED_OFFSET + len(self._before)]
        received = 0
        for i, packet in enumerate(self._to_receive):
            place = slice(i * SLOT_SIZE, (i + 1) * SLOT_SIZE)
            received += now[place] == packet + self._before[place][PACKET:]
            if is_neither(now[place], self._before[place], [*self._to_receive, *self._earlier]):
                self.counts.wrong.append(f"place {i} in the BAR is neither as it was nor a packet's")
        self.counts.ok += sent + received
        self.counts.error += 2 * DeepQueue.BATCH - sent - received
