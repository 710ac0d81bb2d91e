# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: what a request has mapped before it must wait is given back where it was taken from."""

from __future__ import annotations

import random
import struct
from pathlib import Path

from drivers.request import Segment
from drivers.virtio_blk import HEADER_SIZE, NO_STATUS_YET, REQUEST_IN, SECTOR
from machines import emulators
from pool.machine import EVERY_ANSWER_SECONDS, MIB, WAITS, disk_options, machine

BUDGET = 2 * MIB
# Of `-M virt`: nothing is there, so DMA goes to a bounce buffer, and nowhere.
HOLE, BOUNCE_BUFFER = 0x0F00_0000, 4096
HELD, WAITING = range(2)
OK = 0


def test_c9_a_bounce_buffer_of_a_request_that_waits_is_given_back(tmp_path: Path) -> None:
    """The device has an address space of its own, and with it a bounce buffer."""
    image = tmp_path / "disk"
    image.write_bytes(random.Random(1).randbytes(2 * BUDGET))
    disk = disk_options(0, image, queues=2)
    disk[-1] += ",iommu_platform=on"
    with machine(emulators.wanted("patched"), tmp_path, 2 * BUDGET, disk, BUDGET) as running:
        qtest, queues = running.emulator.qtest, running.disk(0, queues=2)
        heads = [running.pages.take() for _ in queues]

        def read(queue: int, *data: Segment) -> None:
            qtest.write(heads[queue], struct.pack("<IIQB", REQUEST_IN, 0, 0, NO_STATUS_YET))
            status = Segment(heads[queue] + HEADER_SIZE, 1)
            queues[queue].submit([Segment(heads[queue], HEADER_SIZE)], [*data, status])

        def is_ok(queue: int) -> bool:
            queues[queue].wait(EVERY_ANSWER_SECONDS)
            return qtest.read8(heads[queue] + HEADER_SIZE) == OK

        running.hold_reads(0)
        read(HELD, Segment(running.address, BUDGET))
        read(WAITING, Segment(HOLE, SECTOR), Segment(running.address + BUDGET, BUDGET))
        running.wait_for_trace(WAITS)
        running.resume(0)
        assert is_ok(HELD) and is_ok(WAITING)
        assert running.bar(0, BUDGET) == image.read_bytes()[:BUDGET]
        assert running.bar(BUDGET, BUDGET) == image.read_bytes()[SECTOR:][:BUDGET]

        read(WAITING, Segment(HOLE, BOUNCE_BUFFER))
        assert is_ok(WAITING)
