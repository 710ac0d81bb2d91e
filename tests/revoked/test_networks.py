# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 for network cards: a packet that can't be had isn't sent, and one that can't be delivered is lost, and no more."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.e1000e import E1000e
from drivers.request import Segment
from drivers.virtio import VirtioPci
from drivers.virtio_net import VirtioNet
from machines import emulators
from machines.bar_of_file import FIRST_FREE_SLOT, Machine, machine
from revoked.scene import AT, BAR_SIZE, PAGE, digest

# An EtherType for experiments, so that nobody looks into the packet.
TYPE_OFFSET, EXPERIMENT = 12, bytes([0x88, 0xB5])
PACKET_SIZE, WIRE_SECONDS, MOST = 1000, 30.0, 1 << 16
NANOSECONDS = 1_000_000_000
Driver = VirtioNet | E1000e


def _virtio(running: Machine) -> VirtioNet:
    return VirtioNet(VirtioPci(running.function(FIRST_FREE_SLOT), running.window), running.pages)


def _e1000(running: Machine) -> E1000e:
    return E1000e(running.function(FIRST_FREE_SLOT), running.window, running.pages)


EVERY_CARD = pytest.mark.parametrize(
    ("device", "driver"), [("virtio-net-pci", _virtio), ("e1000e", _e1000), ("e1000", _e1000)],
    ids=["virtio-net", "e1000e", "e1000"],
)  # fmt: skip


@dataclass
class Wired:
    """A machine with a card, and the other end of its wire."""

    machine: Machine
    card: Driver
    wire: socket.socket

    def ram(self, data: bytes) -> Segment:
        address = self.machine.pages.take(max(len(data), PAGE))
        self.machine.emulator.qtest.write(address, data)
        return Segment(address, len(data))


@contextmanager
def wired(folder: Path, device: str, driver: Callable[[Machine], Driver]) -> Iterator[Wired]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.settimeout(WIRE_SECONDS)
        options = [
            "-netdev", f"dgram,id=wire,local.type=fd,local.str={theirs.fileno()}",
            "-device", f"{device},netdev=wire,romfile=,addr={FIRST_FREE_SLOT:x}.0",
        ]  # fmt: skip
        with machine(emulators.wanted("patched"), folder, BAR_SIZE, options, [theirs.fileno()]) as running:
            card = driver(running)
            # An e1000 receives nothing for a second of the machine's time, which stands still.
            running.emulator.qtest.command(f"clock_step {2 * NANOSECONDS}")
            yield Wired(running, card, ours)


def packet(seed: str) -> bytes:
    data = bytearray(random.Random(seed).randbytes(PACKET_SIZE))
    data[TYPE_OFFSET : TYPE_OFFSET + len(EXPERIMENT)] = EXPERIMENT
    return bytes(data)


@pytest.mark.parametrize("left", [0, PACKET_SIZE // 2])
@EVERY_CARD
def test_c7_a_packet_whose_data_is_gone_is_not_sent(
    tmp_path: Path, device: str, driver: Callable[[Machine], Driver], left: int
) -> None:
    with wired(tmp_path, device, driver) as net:
        lost, good, back = packet("lost"), packet("good"), packet("back")
        begin = AT + PAGE - left
        data = [Segment(net.machine.address + begin, PACKET_SIZE)]
        net.machine.fill_bar(begin, lost)
        net.machine.cut_bar(AT + PAGE)
        net.card.send(data)
        net.card.send([net.ram(good)])
        assert digest(net.wire.recv(MOST)) == digest(good)
        net.machine.bring_bar_back()
        net.machine.fill_bar(begin, back)
        net.card.send(data)
        assert digest(net.wire.recv(MOST)) == digest(back)


@EVERY_CARD
def test_c7_a_packet_that_begins_in_ram_and_whose_rest_is_gone_is_not_sent(
    tmp_path: Path, device: str, driver: Callable[[Machine], Driver]
) -> None:
    with wired(tmp_path, device, driver) as net:
        lost, good = packet("lost"), packet("good")
        data = [net.ram(lost[:64]), Segment(net.machine.address + AT, PACKET_SIZE - 64)]
        net.machine.cut_bar()
        net.card.send(data)
        net.card.send([net.ram(good)])
        assert digest(net.wire.recv(MOST)) == digest(good)
        net.machine.bring_bar_back()
        net.machine.fill_bar(AT, lost[64:])
        net.card.send(data)
        assert digest(net.wire.recv(MOST)) == digest(lost)


@EVERY_CARD
def test_c7_a_packet_that_is_received_into_a_bar_that_is_gone_is_lost_and_changes_no_byte(
    tmp_path: Path, device: str, driver: Callable[[Machine], Driver]
) -> None:
    with wired(tmp_path, device, driver) as net:
        qtest = net.machine.emulator.qtest
        guard = net.ram(random.Random("guard").randbytes(16 * PAGE))
        before = digest(qtest.read(guard.address, guard.size))
        into = [Segment(net.machine.address + AT, PAGE)]
        net.machine.cut_bar()
        net.card.offer(into)
        net.wire.send(packet("lost"))
        net.card.received()
        assert digest(qtest.read(guard.address, guard.size)) == before
        net.machine.bring_bar_back()
        back = random.Random("bar").randbytes(BAR_SIZE)
        net.machine.fill_bar(0, back)
        net.card.offer(into)
        net.wire.send(packet("back"))
        assert net.card.received() == PACKET_SIZE
        now = back[:AT] + packet("back") + back[AT + PACKET_SIZE :]
        assert digest(net.machine.bar(0, BAR_SIZE)) == digest(now)
