# SPDX-License-Identifier: GPL-2.0-or-later
"""An inner machine with the test device, and disks that do DMA there."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from drivers import pci
from drivers.request import Segment, wait_until
from drivers.virtio import EVENT_INDEX, QUEUE_SIZE, DeepQueue, VirtioPci, Virtqueue
from drivers.virtio_blk import HEADER_SIZE, NO_STATUS_YET, REQUEST_IN, REQUEST_OUT, SECTOR
from machines import bar_of_file

FIRST_DISK_SLOT = bar_of_file.FIRST_FREE_SLOT
MIB = 1 << 20
EVERY_ANSWER_SECONDS = 600
# What the emulator tells: a disk has taken a read off its queue; a queue waits for memory.
READ, WAITS = "virtio_blk_handle_read", "virtqueue_waits"


class Machine(bar_of_file.Machine):
    """A running inner machine with disks."""

    def disk(self, number: int, queues: int = 1, entries: int = QUEUE_SIZE) -> list[Virtqueue]:
        """Set up a disk; its queues."""
        function = pci.Function(self.emulator.qtest, FIRST_DISK_SLOT + number)
        return VirtioPci(function, self.window).set_up(EVENT_INDEX, queues, self.pages, entries)

    def private_kib(self) -> int:
        """The emulator's memory that isn't a file's."""
        for line in Path(f"/proc/{self.emulator.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
        raise AssertionError("/proc has no RssAnon")

    def hold_reads(self, number: int) -> None:
        """Let a disk's next read wait for resume()."""
        self._qemu_io(number, "break read_aio held")

    def resume(self, number: int) -> None:
        """Let the held read go on. A disk with an iothread may not have got there yet."""
        self._qemu_io(number, "resume held")

    def resume_until(self, number: int, done: Callable[[], bool], what: str) -> None:
        """Let the held read go on as soon as it can."""

        def resumed_and_done() -> bool:
            self.resume(number)
            return done()

        wait_until(resumed_and_done, what, EVERY_ANSWER_SECONDS)

    def wait_for_trace(self, event: str, times: int = 1) -> None:
        """Wait for that many of a trace event that the emulator was started with."""
        wait_until(lambda: self.emulator.messages().count(event) >= times, event, EVERY_ANSWER_SECONDS)

    def _qemu_io(self, number: int, command: str) -> None:
        self.emulator.monitor(f'qemu-io -d /machine/peripheral/disk{number}/virtio-backend "{command}"')


@contextmanager
def machine(emulator: Path, folder: Path, size: int, options: Sequence[str], budget: int = 0,
            behind_port: bool = False) -> Iterator[Machine]:
    """Start the emulator with a BAR of that size, and have it tell what it does."""
    told = [word for event in (READ, WAITS) for word in ("-trace", event)]
    with bar_of_file.machine(emulator, folder, size, [*told, *options], behind_port=behind_port,
                             budget=budget) as running:  # fmt: skip
        yield Machine(**vars(running))


def disk_options(number: int, image: Path, queues: int = 1, iothread: bool = False,
                 entries: int = QUEUE_SIZE) -> list[str]:
    """The emulator's arguments for a disk whose requests blkdebug can hold."""
    thread = f",iothread=thread{number}" if iothread else ""
    device = f"virtio-blk-pci,id=disk{number},addr={FIRST_DISK_SLOT + number:x}.0"
    return [
        *(["-object", f"iothread,id=thread{number}"] if iothread else []),
        "-blockdev", f"driver=file,node-name=file{number},filename={image}",
        "-blockdev", f"driver=blkdebug,node-name=debug{number},image=file{number}",
        "-blockdev", f"driver=raw,node-name=raw{number},file=debug{number}",
        "-device", f"{device},drive=raw{number},num-queues={queues},queue-size={entries},disable-legacy=on{thread}",
    ]  # fmt: skip


class Batch:
    """Requests of a disk's queue, a batch of them in flight at once."""

    def __init__(self, machine: Machine, queue: Virtqueue) -> None:
        self._qtest = machine.emulator.qtest
        self._queue = DeepQueue(queue)
        self._heads = machine.pages.take(32 * self._queue.batch)

    def submit(self, from_disk: bool, sector: int, address: int, size: int) -> None:
        """Move as many pieces of `size` bytes side by side, between the disk from `sector` and memory."""
        chains = []
        for number in range(self._queue.batch):
            head = self._heads + 32 * number
            kind = REQUEST_IN if from_disk else REQUEST_OUT
            request = struct.pack("<IIQ", kind, 0, sector + number * size // SECTOR) + bytes([NO_STATUS_YET])
            self._qtest.write(head, request)
            data, status = Segment(address + number * size, size), Segment(head + HEADER_SIZE, 1)
            header = Segment(head, HEADER_SIZE)
            chains.append(([header], [data, status]) if from_disk else ([header, data], [status]))
        self._queue.submit(DeepQueue.table(chains))

    def is_answered(self) -> bool:
        return self._queue.is_answered()

    def statuses(self) -> set[int]:
        return {self._qtest.read8(self._heads + 32 * number + HEADER_SIZE) for number in range(self._queue.batch)}
