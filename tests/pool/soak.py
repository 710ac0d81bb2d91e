# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything at once, in an order that a seed decides: queues that wait, resets, a VM that stops, a BAR that goes away.

Two disks of four queues each, one of them in an iothread, move data between themselves and a BAR, with a budget that a
few requests use up. Each queue has a part of its disk and of the BAR to itself, so that it is known what must be there.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

from drivers.request import wait_until
from drivers.virtio import DeepQueue
from pool.machine import EVERY_ANSWER_SECONDS, FIRST_DISK_SLOT, MIB, WAITS, Batch, Machine, machine

DISKS, QUEUES, REQUESTS = 2, 4, DeepQueue.BATCH
BUDGET = 2 * MIB
LARGEST = 512 * 1024
PART = REQUESTS * LARGEST
SIZE = DISKS * QUEUES * PART
SIZES = (4096, 64 * 1024, 128 * 1024, LARGEST)
# So slow that most requests are still in flight when the next thing is done.
BYTES_PER_SECOND = 64 * MIB
SECTOR = 512
OK, IO_ERROR = 0, 1


@dataclass
class Queue:
    """A queue, what is in its parts of the disk and of the BAR, and what it is doing to them."""

    image: Path
    disk_offset: int
    bar_offset: int
    disk: bytes
    bar: bytes
    batch: Batch
    from_disk: bool = False
    size: int = 0
    """Of each request that is in flight, or 0: there is none."""


@dataclass
class Counts:
    """What a soak has met."""

    batches: int = 0
    resets: int = 0
    revocations: int = 0
    stops: int = 0
    waits: int = 0
    failed: int = 0
    """Batches with a request that was answered with an error."""
    kept: int = 0
    """Sectors that a batch left as they were, as it was reset, or the BAR away."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Counts)))


class Soak:
    """A machine, and its queues."""

    def __init__(self, running: Machine, images: list[Path], seed: int) -> None:
        self.counts = Counts()
        self._running = running
        self._random = random.Random(seed)
        self._queues: list[list[Queue]] = []
        for number, image in enumerate(images):
            self._queues.append([])
            for index, queue in enumerate(running.disk(number, QUEUES)):
                offset = index * PART
                self._queues[-1].append(Queue(
                    image, offset, (number * QUEUES + index) * PART, image.read_bytes()[offset:offset + PART], b"",
                    Batch(running, queue)))  # fmt: skip
        self._fill_bar()

    def run(self, steps: int) -> Counts:
        """Do so many things, and see that all is right in the end."""
        weights: dict[Callable[[], None], int] = {
            self._submit: 12, self._finish_one: 6, self._reset: 1, self._stop: 1, self._revoke: 1}  # fmt: skip
        for do in self._random.choices(list(weights), list(weights.values()), k=steps):
            do()
        for queue in self._all():
            if queue.size:
                self._finish(queue)
        self.counts.waits = self._running.emulator.messages().count(WAITS)
        return self.counts

    def _all(self) -> list[Queue]:
        return [queue for queues in self._queues for queue in queues]

    def _fill_bar(self) -> None:
        for queue in self._all():
            queue.bar = self._random.randbytes(PART)
            self._running.fill_bar(queue.bar_offset, queue.bar)

    def _submit(self) -> None:
        idle = [queue for queue in self._all() if not queue.size]
        if not idle:
            self._finish_one()
            return
        queue = self._random.choice(idle)
        queue.from_disk, queue.size = self._random.random() < 0.5, self._random.choice(SIZES)
        address = self._running.address + queue.bar_offset
        queue.batch.submit(queue.from_disk, queue.disk_offset // SECTOR, address, queue.size)
        self.counts.batches += 1

    def _finish_one(self) -> None:
        busy = [queue for queue in self._all() if queue.size]
        if busy:
            self._finish(self._random.choice(busy))

    def _finish(self, queue: Queue) -> None:
        """Wait for its answers, and compare."""
        wait_until(queue.batch.is_answered, f"a queue of {queue.image.name}", EVERY_ANSWER_SECONDS)
        assert queue.batch.statuses() == {OK}
        self._compare(queue)

    def _compare(self, queue: Queue, is_whole: bool = True) -> None:
        """Its parts have what they must; a batch that isn't whole may have left them as they were."""
        disk, bar = self._read_disk(queue), self._running.bar(queue.bar_offset, PART)
        moved, queue.size = queue.size * REQUESTS, 0
        source, was, now = (queue.disk, queue.bar, bar) if queue.from_disk else (queue.bar, queue.disk, disk)
        wanted = source[:moved] + was[moved:]
        if now != wanted:
            assert not is_whole, "wrong contents"
            self.counts.kept += self._sectors_kept(was, now, wanted)
        assert (disk == queue.disk) if queue.from_disk else (bar == queue.bar), "the source has changed"
        queue.disk, queue.bar = disk, bar

    @staticmethod
    def _read_disk(queue: Queue) -> bytes:
        with queue.image.open("rb") as file:
            file.seek(queue.disk_offset)
            return file.read(PART)

    @staticmethod
    def _sectors_kept(was: bytes, now: bytes, wanted: bytes) -> int:
        """How many sectors are as they were; the others are as they should be, and not made up."""
        kept = 0
        for at in range(0, PART, SECTOR):
            sector = now[at:at + SECTOR]
            if sector != wanted[at:at + SECTOR]:
                assert sector == was[at:at + SECTOR], f"neither the old nor the new contents at {at:#x}"
                kept += 1
        return kept

    def _reset(self) -> None:
        """Reset a disk in the midst of its requests: what they have done is done."""
        number = self._random.randrange(DISKS)
        transports = self._running.disk(number, QUEUES)
        self.counts.resets += 1
        for queue, transport in zip(self._queues[number], transports, strict=True):
            queue.batch = Batch(self._running, transport)
            if queue.size:
                self._compare(queue, is_whole=False)

    def _stop(self) -> None:
        self.counts.stops += 1
        self._running.emulator.monitor("stop")
        self._running.emulator.monitor("cont")

    def _revoke(self) -> None:
        """Take the BAR away in the midst of all requests, and bring it back, with other contents."""
        self.counts.revocations += 1
        busy = [queue for queue in self._all() if queue.size]
        self._running.cut_bar()
        for queue in busy:
            wait_until(queue.batch.is_answered, f"a queue of {queue.image.name}", EVERY_ANSWER_SECONDS)
            self.counts.failed += IO_ERROR in queue.batch.statuses()
            disk, moved, queue.size = self._read_disk(queue), queue.size * REQUESTS, 0
            wanted = queue.disk if queue.from_disk else queue.bar[:moved] + queue.disk[moved:]
            self.counts.kept += self._sectors_kept(queue.disk, disk, wanted)
            queue.disk = disk
        self._running.bring_bar_back()
        self._fill_bar()


def slow_disk(number: int, image: Path, iothread: bool) -> list[str]:
    """The emulator's arguments for a disk."""
    thread = f",iothread=thread{number}" if iothread else ""
    device = f"virtio-blk-pci,id=disk{number},addr={FIRST_DISK_SLOT + number:x}.0,disable-legacy=on"
    file = f"file.driver=file,file.filename={image}"
    return [
        *(["-object", f"iothread,id=thread{number}"] if iothread else []),
        "-object", f"throttle-group,id=slow{number},x-bps-total={BYTES_PER_SECOND}",
        "-blockdev", f"driver=throttle,node-name=slow{number},throttle-group=slow{number},{file}",
        "-device", f"{device},drive=slow{number},num-queues={QUEUES}{thread}",
    ]  # fmt: skip


def soak(emulator: Path, folder: Path, seed: int, steps: int) -> Counts:
    """One machine's life; its images are left in the folder if something is wrong."""
    images = [folder / f"disk{number}" for number in range(DISKS)]
    for number, image in enumerate(images):
        image.write_bytes(random.Random(seed * DISKS + number).randbytes(QUEUES * PART))
    options = [word for number, image in enumerate(images) for word in slow_disk(number, image, number > 0)]
    with machine(emulator, folder, SIZE, options, BUDGET) as running:
        before = running.private_kib()
        counts = Soak(running, images, seed).run(steps)
        # Each budget, and a chunk of the pool that is used in part.
        assert running.private_kib() - before < DISKS * (BUDGET + 2 * MIB) // 1024 + 16 * 1024
    return counts
