# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's virtio-blk driver on a polled queue."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from bench.polled_queue import PolledQueue, RingMemory, keep_in_flight
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
    """The disk, reset and ready for so many requests in flight."""

    def __init__(self, transport: Transport, memory: RingMemory, depth: int) -> None:
        self.depth = depth
        (queue,) = transport.set_up(0, 1, memory.pages, PolledQueue.entries(depth))
        self._queue = PolledQueue(queue, memory)
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
        self._queue.describe(chains)

    def run(self, count: int) -> None:
        """Make so many requests, at least as many as are in flight; RequestFailed unless all are answered as done."""
        keep_in_flight(self.depth, count, self._submit, self._queue.wait)
        statuses = {self._heads[HEAD_STRIDE * number + HEADER_SIZE] for number in range(self.depth)}
        if statuses != {0}:
            raise RequestFailed(f"virtio-blk answered with statuses {sorted(statuses)}")

    def _submit(self, requests: Sequence[int]) -> None:
        self._queue.submit(requests)
        self._queue.notify()
