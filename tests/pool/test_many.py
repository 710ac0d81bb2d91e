# SPDX-License-Identifier: GPL-2.0-or-later
"""C9 at full size: 4 disks x 4 queues x 128 requests of 1 MiB in flight, in the budgets of devices by default."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from drivers.request import wait_until
from machines import emulators
from pool.machine import EVERY_ANSWER_SECONDS, MIB, Batch, disk_options, machine

DISKS, QUEUES, DEPTH = 4, 4, 128
ENTRIES = 4 * DEPTH
BUDGET = 64 * MIB
ONE_QUEUE = DEPTH * MIB
SIZE = DISKS * QUEUES * ONE_QUEUE
OK = 0


def digest(path: Path, offset: int) -> str:
    """The SHA-256 of what one queue's requests have moved."""
    with path.open("rb") as file:
        file.seek(offset)
        return hashlib.sha256(file.read(ONE_QUEUE)).hexdigest()


def test_c9_2048_requests_of_a_mebibyte_are_answered_and_right(tmp_path: Path) -> None:
    images = [tmp_path / f"disk{number}" for number in range(DISKS)]
    for number, image in enumerate(images):
        image.write_bytes(random.Random(number).randbytes(ONE_QUEUE))
    options = [word for number, image in enumerate(images)
               for word in disk_options(number, image, QUEUES, iothread=True, entries=ENTRIES)]  # fmt: skip
    with machine(emulators.wanted("patched"), tmp_path, SIZE, options) as running:
        batches = [Batch(running, queue) for number in range(DISKS) for queue in running.disk(number, QUEUES, ENTRIES)]
        before = peak = running.private_kib()

        def all_answered() -> bool:
            nonlocal peak
            peak = max(peak, running.private_kib())
            return all(batch.is_answered() for batch in batches)

        for number, batch in enumerate(batches):
            batch.submit(True, 0, running.address + number * ONE_QUEUE, MIB)
        wait_until(all_answered, "2048 requests", EVERY_ANSWER_SECONDS)
        assert {status for batch in batches for status in batch.statuses()} == {OK}
        print(f"{DISKS * QUEUES * DEPTH} requests; private memory {before} KiB before, {peak} KiB at most")
        # Each budget, and a chunk of the pool that is used in part.
        assert peak - before < DISKS * (BUDGET + 2 * MIB) // 1024 + 16 * 1024
        wanted = [digest(image, 0) for image in images]
        found = [digest(running.storage, number * ONE_QUEUE) for number in range(DISKS * QUEUES)]
        assert found == [image for image in wanted for _ in range(QUEUES)]
    for file in (running.storage, *images):
        file.unlink()
