# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests that mustn't succeed: their data's BAR has gone, or the BAR that they read into can't be written.

The emulator and the device must outlive them, and the next request must work.
"""

from __future__ import annotations

from checker import answers
from checker.findings import (
    CHANGED,
    DIRECTIONS,
    DROPPED,
    FAILS,
    KIB,
    LOST_EMULATOR,
    MADE_UP,
    NET,
    NO_ANSWER,
    NOTHING,
    OK,
    WRITTEN,
    Answer,
    Denied,
)
from checker.network import MOST, Network, new_driver, packet
from checker.places import GUARD, InBar
from checker.storage import Storage
from drivers.request import Segment

SIZES, PACKET_SIZES = (512, 64 * KIB), (512, 8 * KIB)
# In BAR 2, and the part of BAR 4's memory that is seen there.
READ_ONLY_OFFSET, READ_ONLY_SIZE = 64 * KIB, KIB * KIB


def write_without_bar(disk: Storage, size: int) -> Denied:
    """A write to the disk whose data is in BAR 4, which has gone; then requests in both directions when it is back."""
    machine, before = disk.machine, disk.on_disk()
    segment = Segment(InBar(machine).address, size)
    with machine.peer.memory_gone():
        found = disk.answer(lambda: _transfer(disk, False, segment))
    outcome = outcome_of_write(found, disk.on_disk() != before)
    return Denied(disk.device, size, outcome, _again(disk, found, size), found.message)


def outcome_of_write(found: Answer, has_changed: bool) -> str:
    """What the guest was told, beside what has become of the disk."""
    if found.verdict == OK:
        return MADE_UP if has_changed else NOTHING
    return CHANGED if found.without_success == FAILS and has_changed else found.without_success


def read_into_read_only(disk: Storage, size: int) -> Denied:
    """A read from the disk into BAR 2, which can't be written; then requests in both directions with BAR 4."""
    machine = disk.machine
    memory = machine.peer.memory
    memory[:READ_ONLY_SIZE] = b"\xa5" * READ_ONLY_SIZE
    before = memory[:READ_ONLY_SIZE]
    segment = Segment(machine.read_only + READ_ONLY_OFFSET, size)
    found = disk.answer(lambda: _transfer(disk, True, segment))
    outcome = outcome_of_read(found, memory[:READ_ONLY_SIZE] != before)
    return Denied(disk.device, size, outcome, _again(disk, found, size), found.message)


def outcome_of_read(found: Answer, has_changed: bool) -> str:
    """Data that can't be written may be dropped with ok: the guest asked for what it knew couldn't be."""
    if has_changed:
        return WRITTEN
    return DROPPED if found.verdict == OK else found.without_success


def send_without_bar(network: Network, size: int) -> Denied:
    """A packet whose data is in BAR 4, which has gone; then another when it is back."""
    with network.connected() as (machine, datagrams):
        driver, place, another = new_driver(machine), InBar(machine), packet("another", size)
        data = [Segment(place.address, size)]
        arrived: list[bytes] = []

        def sent() -> str:
            driver.send(data, machine.subject.patience)
            return OK

        def sent_and_arrived() -> str:
            place.put(bytes(GUARD) + another)
            driver.send(data, machine.subject.patience)
            while another not in arrived:
                arrived.append(datagrams.recv(MOST))
            return OK

        with machine.peer.memory_gone():
            found = answers.answer(machine, sent)
        if found.verdict != OK:
            return Denied(NET, size, found.without_success, message=found.message)
        again = answers.answer(machine, sent_and_arrived)
        outcome = DROPPED if all(datagram == another for datagram in arrived) else MADE_UP
        return Denied(NET, size, outcome, again.verdict, found.message or again.message)


def _transfer(disk: Storage, from_disk: bool, segment: Segment) -> str:
    disk.transfer(from_disk, segment)
    return OK


def _again(disk: Storage, found: Answer, size: int) -> str:
    """The verdict on further requests of the same emulator, if there still is one that answers."""
    if found.verdict in (LOST_EMULATOR, NO_ANSWER):
        return ""
    verdicts = [disk.attempt(direction, size).verdict for direction in DIRECTIONS]
    return next((verdict for verdict in verdicts if verdict != OK), OK)
