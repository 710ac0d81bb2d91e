# SPDX-License-Identifier: GPL-2.0-or-later
"""A virtqueue whose driver costs next to nothing: its rings are memory that it shares with the emulator.

The only command of the qtest protocol is a notification. What is answered is seen in the used ring.
"""

from __future__ import annotations

import ctypes
import mmap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, NoAnswer, Segment
from drivers.virtio import DeepQueue, Virtqueue
from machines.qtest_client import QTest

NO_INTERRUPT = 1
# A pause between two looks is this part of the time waited so far, lest looking takes a processor away from what is
# timed, and at least so many seconds. Linux adds a timer's slack to it, 50 microseconds unless it is told otherwise.
PAUSE_PART, SHORTEST_PAUSE = 1 / 16, 5e-6
PR_SET_TIMERSLACK = 29


class RingMemory:
    """Pages of the guest's from an address on, all of which this process has mapped as well."""

    def __init__(self, qtest: QTest, begin: int, shared: mmap.mmap) -> None:
        self.pages = Pages(qtest, begin, begin + len(shared))
        self._begin = begin
        self._shared = memoryview(shared)

    def view(self, address: int, size: int) -> memoryview:
        """The memory at an address of the guest's."""
        return self._shared[address - self._begin :][:size]


class PolledQueue:
    """A set-up virtqueue, with room for so many chains in flight as a DeepQueue's batch has."""

    def __init__(self, queue: Virtqueue, memory: RingMemory) -> None:
        self._queue = queue
        self._entries = queue.entries
        self._descriptors = memory.view(queue.page, queue.available - queue.page)
        self._available = memory.view(queue.available, queue.used - queue.available).cast("H")
        used = memory.view(queue.used, 4 + 8 * queue.entries)
        self._used_index = used[:4].cast("H")
        self._used_ring = used[4:].cast("I")
        self._submitted = self._seen = 0
        self._available[0] = NO_INTERRUPT

    @staticmethod
    def entries(depth: int) -> int:
        """The size of a queue with so many chains in flight."""
        return DeepQueue.LONGEST_CHAIN * depth

    def describe(self, chains: Sequence[tuple[Sequence[Segment], Sequence[Segment]]]) -> None:
        """Write the descriptors of all chains, while none is in flight: their readable and writable segments."""
        table = DeepQueue.table(chains)
        self._descriptors[: len(table)] = table

    def submit(self, chains: Sequence[int]) -> None:
        """Offer these to the device, which sees them when it looks or is notified.

        A device that sees the index before an entry takes an old entry: that is a chain of ours as well.
        """
        for chain in chains:
            self._available[2 + self._submitted % self._entries] = DeepQueue.LONGEST_CHAIN * chain
            self._submitted = (self._submitted + 1) & 0xFFFF
        self._available[1] = self._submitted

    def notify(self) -> None:
        self._queue.transport.notify(self._queue.index)

    def answered(self) -> int:
        """How many chains are answered whose answers haven't been taken yet."""
        return (self._used_index[1] - self._seen) & 0xFFFF

    def take(self, at_most: int) -> list[int]:
        """Chains that are answered, in the order in which they were."""
        answered = []
        for _ in range(min(self.answered(), at_most)):
            answered.append(self._used_ring[2 * (self._seen % self._entries)] // DeepQueue.LONGEST_CHAIN)
            self._seen = (self._seen + 1) & 0xFFFF
        return answered


def wait(queues: Sequence[PolledQueue], wanted: int) -> list[int]:
    """How many chains of each queue are answered and not taken yet, when there are as many as wanted in all."""
    begun = time.monotonic()
    while sum(answered := [queue.answered() for queue in queues]) < wanted:
        waited = time.monotonic() - begun
        time.sleep(max(waited * PAUSE_PART, SHORTEST_PAUSE))
        if waited > ANSWER_SECONDS:
            raise NoAnswer(f"the device has left requests unanswered for {ANSWER_SECONDS:.0f} s")
    return answered


@contextmanager
def _short_pauses() -> Iterator[None]:
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0)


def keep_in_flight(
    depth: int, count: int, submit: Callable[[Sequence[int]], None], answered: Callable[[int], Sequence[int]]
) -> None:
    """Have so many chains submitted, at least `depth`, which is how many are in flight.

    When half of them are answered, all that are answered are submitted again. The functions submit chains with one
    notification, and tell which ones are answered, once there are so many.
    """
    refill = max(1, depth // 2)
    with _short_pauses():
        submit(range(depth))
        left, in_flight = count - depth, depth
        while in_flight:
            done = answered(min(refill, in_flight))
            again = done[:left]
            left -= len(again)
            in_flight -= len(done) - len(again)
            if again:
                submit(again)
