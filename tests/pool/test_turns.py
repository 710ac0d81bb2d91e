# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: queues of a device that all wait for its buffers get them in turn."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from drivers.request import wait_until
from drivers.virtio import DeepQueue
from drivers.virtio_blk import SECTOR
from machines import emulators
from pool.machine import EVERY_ANSWER_SECONDS, MIB, READ, WAITS, Batch, disk_options, machine

QUEUES, REQUESTS, BUDGET = 4, DeepQueue.BATCH, 2 * MIB
ONE_QUEUE = REQUESTS * BUDGET
OK = 0


@pytest.mark.parametrize("iothread", [False, True])
def test_c9_queues_that_wait_are_served_in_turn(tmp_path: Path, iothread: bool) -> None:
    """Each request needs all of the budget, and the first one is held until all queues wait."""
    image = tmp_path / "disk"
    image.write_bytes(random.Random(1).randbytes(QUEUES * ONE_QUEUE))
    with machine(emulators.wanted("patched"), tmp_path, QUEUES * ONE_QUEUE, disk_options(0, image, QUEUES, iothread),
                 BUDGET) as running:  # fmt: skip
        batches = [Batch(running, queue) for queue in running.disk(0, QUEUES)]
        running.hold_reads(0)
        for number, batch in enumerate(batches):
            offset = number * ONE_QUEUE
            batch.submit(True, offset // SECTOR, running.address + offset, BUDGET)
            running.wait_for_trace(WAITS, number + 1)

        running.resume_until(0, lambda: running.emulator.messages().count(READ) > 1, "a second request")
        wait_until(lambda: all(batch.is_answered() for batch in batches), "all requests", EVERY_ANSWER_SECONDS)
        sectors = [int(found) for found in re.findall(rf"{READ} .* sector (\d+) ", running.emulator.messages())]
        assert {status for batch in batches for status in batch.statuses()} == {OK}
        assert running.bar(0, QUEUES * ONE_QUEUE) == image.read_bytes()
    taken_from = [sector * SECTOR // ONE_QUEUE for sector in sectors]
    # Queue 0 took the request that was held, and then waited first.
    assert taken_from == [0, *list(range(QUEUES)) * (REQUESTS - 1), *range(1, QUEUES)]
