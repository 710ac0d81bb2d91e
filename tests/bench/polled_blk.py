# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's virtio-blk driver on a polled queue."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from bench.polled_queue import PolledQueue, RingMemory, keep_in_flight, wait
from drivers.request import RequestFailed, Segment
from drivers.virtio import Transport
from drivers.virtio_blk import HEADER_SIZE, NO_STATUS_YET, REQUEST_IN, REQUEST_OUT, SECTOR

# Where the header and the status byte of a request are.
HEAD_STRIDE = 32


@dataclass(frozen=True)
class Requests:
    """Requests of one kind: side by side in memory, and on the disk with gaps, lest the device merge them."""

    from_disk: bool
    size: int
    address: int
    disk_begin: int

    def disk_offset(self, number: int) -> int:
        return self.disk_begin + 2 * number * self.size


class PolledBlk:
    """The disk, reset and ready for so many requests in flight, which its queues share evenly."""

    def __init__(self, transport: Transport, memory: RingMemory, depth: int, queues: int) -> None:
        self.depth = depth
        made = transport.set_up(0, queues, memory.pages, PolledQueue.entries(depth // queues))
        self._queues = [PolledQueue(queue, memory) for queue in made]
        self._heads_address = memory.pages.take(HEAD_STRIDE * depth)
        self._heads = memory.view(self._heads_address, HEAD_STRIDE * depth)

    def describe(self, requests: Requests) -> None:
        """Write the descriptors and headers of what run() will make."""
        kind = REQUEST_IN if requests.from_disk else REQUEST_OUT
        chains = []
        for number in range(self.depth):
            sector = requests.disk_offset(number) // SECTOR
            struct.pack_into("<IIQB", self._heads, HEAD_STRIDE * number, kind, 0, sector, NO_STATUS_YET)
            head = Segment(self._heads_address + HEAD_STRIDE * number, HEADER_SIZE)
            data = Segment(requests.address + number * requests.size, requests.size)
            status = Segment(head.address + HEADER_SIZE, 1)
            chains.append(([head], [data, status]) if requests.from_disk else ([head, data], [status]))
        for index, queue in enumerate(self._queues):
            queue.describe(chains[index :: len(self._queues)])

    def run(self, count: int) -> None:
        """Make so many requests, at least as many as are in flight; RequestFailed unless all are answered as done."""
        keep_in_flight(self.depth, count, self._submit, self._answered)
        statuses = {self._heads[HEAD_STRIDE * number + HEADER_SIZE] for number in range(self.depth)}
        if statuses != {0}:
            raise RequestFailed(f"virtio-blk answered with statuses {sorted(statuses)}")

    def _submit(self, requests: Sequence[int]) -> None:
        """A request has its number among all; of those in its queue it has another one."""
        for index, queue in enumerate(self._queues):
            own = [number // len(self._queues) for number in requests if number % len(self._queues) == index]
            if own:
                queue.submit(own)
                queue.notify()

    def _answered(self, wanted: int) -> list[int]:
        return [
            number * len(self._queues) + index
            for index, (queue, answered) in enumerate(zip(self._queues, wait(self._queues, wanted), strict=True))
            for number in queue.take(at_most=answered)
        ]
