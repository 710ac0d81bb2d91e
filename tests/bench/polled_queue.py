# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's virtio-blk driver that costs next to nothing: its rings are memory that it shares with the emulator.

DEPTH requests are in flight. When REFILL of them are answered, these are made again, by one notification, which is the
only command of the qtest protocol. Whether they are answered is seen in the used ring.
"""

from __future__ import annotations

import ctypes
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from drivers.request import NoAnswer, RequestFailed
from drivers.virtio import DESC_NEXT, DESC_WRITE, QUEUE_SIZE, Virtqueue
from drivers.virtio_blk import HEADER_SIZE, NO_STATUS_YET, REQUEST_IN, REQUEST_OUT, SECTOR

DEPTH, REFILL = 16, 8
DESCRIPTORS_EACH = 3
# Where the header and the status byte of a request are, in a page for all of them.
HEAD_STRIDE = 32
NO_INTERRUPT = 1
ANSWER_SECONDS = 60.0
# A pause between two looks is this part of the time waited so far, lest looking takes a processor away from what is
# timed, and at least so many seconds. Linux adds a timer's slack to it, 50 microseconds unless it is told otherwise.
PAUSE_PART, SHORTEST_PAUSE = 1 / 16, 5e-6
PR_SET_TIMERSLACK = 29


@dataclass(frozen=True)
class Requests:
    """DEPTH requests of one kind: side by side in memory, and on the disk with gaps, lest the device merge them."""

    from_disk: bool
    size: int
    address: int
    disk_begin: int

    def disk_offset(self, number: int) -> int:
        return self.disk_begin + 2 * number * self.size


@contextmanager
def _short_pauses() -> Iterator[None]:
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0)


class PolledQueue:
    """The queue, whose page and the page for headers are at these offsets of the shared memory."""

    def __init__(self, queue: Virtqueue, shared: memoryview, queue_at: int, heads_at: int, heads_address: int) -> None:
        self._queue = queue
        available_at, used_at = (queue_at + ring - queue.page for ring in (queue.available, queue.used))
        self._descriptors = shared[queue_at:available_at]
        self._available = shared[available_at:used_at].cast("H")
        used = shared[used_at : used_at + 4 + 8 * QUEUE_SIZE]
        self._used_index = used[:4].cast("H")
        self._used_ring = used[4:].cast("I")
        self._heads = shared[heads_at : heads_at + DEPTH * HEAD_STRIDE]
        self._heads_address = heads_address
        self._submitted = self._seen = 0
        self._available[0] = NO_INTERRUPT

    def describe(self, requests: Requests) -> None:
        """Write the descriptors and headers of what run() will make."""
        kind, data_flags = (REQUEST_IN, DESC_WRITE) if requests.from_disk else (REQUEST_OUT, 0)
        for number in range(DEPTH):
            sector = requests.disk_offset(number) // SECTOR
            struct.pack_into("<IIQB", self._heads, HEAD_STRIDE * number, kind, 0, sector, NO_STATUS_YET)
            head = self._heads_address + HEAD_STRIDE * number
            first = DESCRIPTORS_EACH * number
            parts = (
                (head, HEADER_SIZE, DESC_NEXT, first + 1),
                (requests.address + number * requests.size, requests.size, data_flags | DESC_NEXT, first + 2),
                (head + HEADER_SIZE, 1, DESC_WRITE, 0),
            )
            for i, part in enumerate(parts, start=first):
                struct.pack_into("<QIHH", self._descriptors, 16 * i, *part)

    def run(self, count: int) -> None:
        """Make so many requests, at least DEPTH; RequestFailed unless all are answered as done."""
        with _short_pauses():
            self._submit([DESCRIPTORS_EACH * number for number in range(DEPTH)])
            left, in_flight = count - DEPTH, DEPTH
            while in_flight:
                answered = self._wait(min(REFILL, in_flight))
                again = answered[:left]
                left -= len(again)
                in_flight -= len(answered) - len(again)
                if again:
                    self._submit(again)
        statuses = {self._heads[HEAD_STRIDE * number + HEADER_SIZE] for number in range(DEPTH)}
        if statuses != {0}:
            raise RequestFailed(f"virtio-blk answered with statuses {sorted(statuses)}")

    def _submit(self, first_descriptors: list[int]) -> None:
        """A device that sees the index before an entry takes an old entry: that is a request of ours as well."""
        for descriptor in first_descriptors:
            self._available[2 + self._submitted % QUEUE_SIZE] = descriptor
            self._submitted = (self._submitted + 1) & 0xFFFF
        self._available[1] = self._submitted
        self._queue.transport.notify(self._queue.index)

    def _wait(self, wanted: int) -> list[int]:
        """The first descriptors of those that are answered, when there are as many as wanted."""
        begun = time.monotonic()
        while (self._used_index[1] - self._seen) & 0xFFFF < wanted:
            waited = time.monotonic() - begun
            time.sleep(max(waited * PAUSE_PART, SHORTEST_PAUSE))
            if waited > ANSWER_SECONDS:
                raise NoAnswer(f"virtio-blk has left requests unanswered for {ANSWER_SECONDS:.0f} s")
        until = self._used_index[1]
        answered = []
        while self._seen != until:
            answered.append(self._used_ring[2 * (self._seen % QUEUE_SIZE)])
            self._seen = (self._seen + 1) & 0xFFFF
        return answered
