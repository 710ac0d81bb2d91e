# SPDX-License-Identifier: GPL-2.0-or-later
"""The memory that requests' data lies in: two BARs with ordinary RAM between them, and what each must hold."""

from __future__ import annotations

import random
from collections.abc import Sequence

from drivers.request import Segment
from machines.qtest_client import QTest
from matrix.dimensions import KIB, LIST, LIST_ODD, UPPER, UPPER_ODD
from matrix.places import END, PARTS, SIZE, pieces

# Requests wander through each part, so that they hardly ever meet the place of an earlier one.
STEP = 36 * KIB
PAGE = 4 * KIB
# Room that a request needs beside its own size: the gaps in a list, and a guard.
ROOM = 64 * KIB
# What is looked at on both sides of a request's data as soon as it is done; the rest is, when the machine ends.
GUARD = 256
CHUNK = 256 * KIB


class Board:
    """The memory at `base`, filled by the test, and a copy of what must be there."""

    def __init__(self, qtest: QTest, base: int, seed: str) -> None:
        self._qtest = qtest
        self._base = base
        self._random = random.Random(seed)
        self._expected = bytearray(self._random.randbytes(END))
        self._turn = 0
        for begin in range(0, END, CHUNK):
            qtest.write(base + begin, bytes(self._expected[begin : begin + CHUNK]))

    def segments(self, place: str, size: int) -> list[Segment]:
        """Where the data of the next request of this kind shall be."""
        self._turn += 1
        shift = PAGE + self._turn * STEP % (SIZE - ROOM - size) // PAGE * PAGE
        return [Segment(self._base + begin, length) for begin, length in pieces(place, size, shift)]

    def payload(self, place: str, size: int) -> Segment:
        """The same for the few bytes that a request is described by."""
        whole = {LIST: UPPER, LIST_ODD: UPPER_ODD}.get(place, place)
        (segment,) = self.segments(whole, size)
        return segment

    def fill(self, segments: Sequence[Segment], data: bytes) -> None:
        """Put the data there."""
        self.expect(segments, data)
        for segment in segments:
            begin = segment.address - self._base
            self._qtest.write(segment.address, bytes(self._expected[begin : begin + segment.size]))

    def fill_randomly(self, segments: Sequence[Segment]) -> bytes:
        """The same with bytes that haven't been used before."""
        data = self._random.randbytes(sum(segment.size for segment in segments))
        self.fill(segments, data)
        return data

    def expect(self, segments: Sequence[Segment], data: bytes) -> None:
        """The device must have put the data there."""
        for segment in segments:
            begin = segment.address - self._base
            self._expected[begin : begin + segment.size] = data[: segment.size]
            data = data[segment.size :]

    def forget(self, segments: Sequence[Segment]) -> None:
        """What a failed request has left there is its own business, and is taken as it is."""
        for segment in segments:
            begin = segment.address - self._base
            self._expected[begin : begin + segment.size] = self._qtest.read(segment.address, segment.size)

    def read(self, address: int, size: int) -> bytes:
        """What is anywhere in the machine's memory."""
        return self._qtest.read(address, size)

    def differences(self, segments: Sequence[Segment]) -> list[str]:
        """Where the segments, or the bytes around them, aren't as they must be."""
        found = []
        for segment in segments:
            begin = segment.address - self._base
            found += self._compare(max(begin - GUARD, 0), min(begin + segment.size + GUARD, END))
        return found

    def all_differences(self) -> list[str]:
        """Where the whole memory isn't as it must be."""
        return [text for begin in range(0, END, CHUNK) for text in self._compare(begin, begin + CHUNK)]

    def _compare(self, begin: int, end: int) -> list[str]:
        found, wanted = self._qtest.read(self._base + begin, end - begin), bytes(self._expected[begin:end])
        if found == wanted:
            return []
        first = next(i for i, both in enumerate(zip(found, wanted, strict=True)) if both[0] != both[1])
        name, offset = PARTS[(begin + first) // SIZE], (begin + first) % SIZE
        return [f"{name}: first wrong byte at offset {offset:#x}"]
