# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the data of requests lies: in BAR 4, or in ordinary RAM to compare with."""

from __future__ import annotations

from abc import ABC, abstractmethod

from checker.machine import Machine

KIB = 1024
# What lies around the data and is looked at as well.
GUARD = 4 * KIB
# In BAR 4, in its first part that is mapped.
OFFSET_IN_BAR = 2 * KIB * KIB
LARGEST = 1 * KIB * KIB
CHUNK = 256 * KIB


class Place(ABC):
    """Memory with GUARD bytes before its address."""

    address: int

    @abstractmethod
    def put(self, data: bytes) -> None:
        """Fill it, from its guard on."""

    @abstractmethod
    def get(self, size: int) -> bytes:
        """So many bytes of it, from its guard on."""


class InBar(Place):
    """BAR 4, whose contents are seen as the device sees them: in the memory that it has shared."""

    def __init__(self, machine: Machine) -> None:
        self._memory = machine.peer.memory
        self._begin = OFFSET_IN_BAR - GUARD
        self.address = machine.memory + OFFSET_IN_BAR

    def put(self, data: bytes) -> None:
        self._memory[self._begin : self._begin + len(data)] = data

    def get(self, size: int) -> bytes:
        return self._memory[self._begin : self._begin + size]


class InRam(Place):
    """The guest's RAM."""

    def __init__(self, machine: Machine) -> None:
        self._qtest = machine.qtest
        self._begin = machine.pages.take(LARGEST + 2 * GUARD)
        self.address = self._begin + GUARD

    def put(self, data: bytes) -> None:
        for begin in range(0, len(data), CHUNK):
            self._qtest.write(self._begin + begin, data[begin : begin + CHUNK])

    def get(self, size: int) -> bytes:
        chunks = range(0, size, CHUNK)
        return b"".join(self._qtest.read(self._begin + begin, min(CHUNK, size - begin)) for begin in chunks)
