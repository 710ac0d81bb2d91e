# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: a disk's driver that has to know memory beforehand isn't told that it knows buffers of RAM devices."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers import pci
from drivers.request import Segment, wait_until
from drivers.virtio import DeepQueue, VirtioPci
from drivers.virtio_blk import HEADER_SIZE, NO_STATUS_YET, REQUEST_IN, SECTOR, VirtioBlk
from machines import emulators
from pool.machine import EVERY_ANSWER_SECONDS, FIRST_DISK_SLOT, MIB, Machine, machine

# The flag of block/block-common.h, and the event that tells it.
REGISTERED, READS = 0x8, "blk_co_preadv"
DISK = ["-trace", READS, "-blockdev", f"driver=null-co,node-name=disk,size={MIB},read-zeroes=on",
        "-device", f"virtio-blk-pci,drive=disk,disable-legacy=on,addr={FIRST_DISK_SLOT:x}.0"]  # fmt: skip


@contextmanager
def disk(folder: Path) -> Iterator[tuple[Machine, VirtioPci]]:
    with machine(emulators.wanted("patched"), folder, MIB, DISK) as running:
        yield running, VirtioPci(pci.Function(running.emulator.qtest, FIRST_DISK_SLOT), running.window)


def reads(running: Machine) -> list[tuple[int, bool]]:
    """The bytes of each read of the disk, and whether its memory is said to be registered."""
    told = re.findall(rf"^{READS} .* bytes (\d+) flags (0x\w+)$", running.emulator.messages(), re.MULTILINE)
    return [(int(size), bool(int(flags, 16) & REGISTERED)) for size, flags in told]


@pytest.mark.parametrize("where", ["RAM", "BAR", "both"])
def test_c9_only_ram_is_registered(tmp_path: Path, where: str) -> None:
    with disk(tmp_path) as (running, transport):
        blk = VirtioBlk(running.emulator.qtest, transport, running.pages)
        places = {"RAM": running.pages.take(), "BAR": running.address}
        wanted = places if where == "both" else [where]
        before = len(reads(running))
        blk.transfer(True, 0, [Segment(places[place], SECTOR) for place in wanted])
        assert reads(running)[before:] == [(len(wanted) * SECTOR, where == "RAM")]


@pytest.mark.parametrize("in_bar", [0, 1], ids=["the first", "the last"])
def test_c9_of_merged_requests_one_is_in_a_bar(tmp_path: Path, in_bar: int) -> None:
    with disk(tmp_path) as (running, transport):
        (ring,) = transport.set_up(0, 1, running.pages)
        queue = DeepQueue(ring)
        data = [running.pages.take(SECTOR * queue.batch), running.address]
        heads = running.pages.take(HEADER_SIZE * 2 * queue.batch)
        chains = []
        for number in range(queue.batch):
            head = heads + 2 * HEADER_SIZE * number
            running.emulator.qtest.write(head, struct.pack("<IIQB", REQUEST_IN, 0, number, NO_STATUS_YET))
            is_in_bar = number == in_bar * (queue.batch - 1)
            answer = [Segment(data[is_in_bar] + number * SECTOR, SECTOR), Segment(head + HEADER_SIZE, 1)]
            chains.append(([Segment(head, HEADER_SIZE)], answer))
        before = len(reads(running))
        queue.submit(DeepQueue.table(chains))
        wait_until(queue.is_answered, "the batch", EVERY_ANSWER_SECONDS)
        assert reads(running)[before:] == [(queue.batch * SECTOR, False)]
