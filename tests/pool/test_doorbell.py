# SPDX-License-Identifier: GPL-2.0-or-later
"""C10: a region whose mapping may go before its device does, such as vhost-user's doorbells, gets no buffer."""

from __future__ import annotations

import mmap
import random
from pathlib import Path

import pytest

from drivers import pci
from drivers.request import wait_until
from drivers.virtio import DeepQueue, VirtioPci
from drivers.virtio_blk import SECTOR
from machines import emulators, vhost_user
from pool.machine import EVERY_ANSWER_SECONDS, FIRST_DISK_SLOT, MIB, READ, Batch, disk_options, machine

DOORBELL_SLOT = FIRST_DISK_SLOT + 1
# With page-per-vq=on.
DISTANCE = 4096
OK = 0


def test_c10_a_doorbell_that_is_withdrawn_under_a_request(tmp_path: Path) -> None:
    """The second request was to leave its data on the page of the doorbell, where nothing is mapped any more."""
    image = tmp_path / "disk"
    image.write_bytes(random.Random(1).randbytes(MIB))
    if mmap.PAGESIZE != DISTANCE:
        pytest.skip(f"pages of {mmap.PAGESIZE} bytes, and doorbells that are {DISTANCE} apart can't be mapped")
    doorbell = tmp_path / "doorbell"
    doorbell.write_bytes(bytes(mmap.PAGESIZE))
    with vhost_user.back_end(tmp_path) as back_end, doorbell.open("r+b") as page:
        options = [*disk_options(0, image), *back_end.options(DOORBELL_SLOT)]
        with machine(emulators.wanted("patched"), tmp_path, MIB, options) as running:
            maps = Path(f"/proc/{running.emulator.pid}/maps")

            def is_mapped() -> bool:
                return str(doorbell) in maps.read_text()

            device = VirtioPci(pci.Function(running.emulator.qtest, DOORBELL_SLOT), running.window)
            device.set_up(0, 1, running.pages)
            one = Batch(running, running.disk(0, entries=DeepQueue.LONGEST_CHAIN)[0])
            back_end.give_doorbell(page.fileno())
            assert is_mapped()

            def read_from(sector: int) -> None:
                one.submit(True, sector, device.doorbell(0), SECTOR)

            def answered() -> None:
                wait_until(one.is_answered, "a request", EVERY_ANSWER_SECONDS)
                assert one.statuses() == {OK}

            read_from(sector=1)
            answered()
            assert doorbell.read_bytes()[:SECTOR] == image.read_bytes()[SECTOR:][:SECTOR]

            running.hold_reads(0)
            read_from(sector=2)
            running.wait_for_trace(READ, 2)
            back_end.withdraw_doorbell()
            wait_until(lambda: not is_mapped(), "the doorbell's mapping to go", EVERY_ANSWER_SECONDS)
            running.resume(0)
            answered()
            assert doorbell.read_bytes()[:SECTOR] == image.read_bytes()[SECTOR:][:SECTOR]
