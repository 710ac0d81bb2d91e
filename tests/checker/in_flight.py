# SPDX-License-Identifier: GPL-2.0-or-later
"""Several requests of a storage device in flight at once, the data of all of them in BAR 4."""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod

from checker.findings import DIRECTIONS, KIB, OK, SCSI, TO_BAR, WRONG, Request
from checker.machine import Machine
from checker.places import GUARD, InBar, InRam, Place
from checker.storage import Storage
from drivers.request import DeviceNeedsReset, RequestFailed, Segment, wait_until
from drivers.scsi_disk import READ_16, TEST_UNIT_READY, WRITE_16
from drivers.virtio import DEVICE_NEEDS_RESET, DeepQueue, VirtioPci
from drivers.virtio_blk import HEADER_SIZE, NO_STATUS_YET, REQUEST_IN, REQUEST_OUT, SECTOR
from drivers.virtio_scsi import LUN_0_OF_TARGET_0, QUEUES, REQUEST_QUEUE, REQUEST_SIZE, RESPONSE_SIZE

COUNT = DeepQueue.BATCH
SIZES = (2 * KIB, 64 * KIB)
# For each request's structures: what the device reads, and what it answers.
HEAD_SIZE, ANSWER_AT = 512, 256

Chain = tuple[list[Segment], list[Segment]]


class Queue(ABC):
    """A device's queue, reset, with COUNT requests in flight at once."""

    def __init__(self, machine: Machine, queues: int, index: int) -> None:
        self._qtest = machine.qtest
        self._patience = machine.subject.patience
        self._transport = VirtioPci(machine.function(), machine.window)
        self._queue = DeepQueue(self._transport.set_up(0, queues, machine.pages)[index])
        self._heads = machine.pages.take(COUNT * HEAD_SIZE)

    @abstractmethod
    def transfer(self, from_disk: bool, address: int, size: int) -> None:
        """Move pieces that are side by side in memory, and on the disk as far apart as they are long, so that none can
        be merged with its neighbour. RequestFailed if one is answered so."""

    def _head(self, number: int) -> int:
        return self._heads + number * HEAD_SIZE

    def _carry_out(self, chains: list[Chain]) -> None:
        self._queue.submit(DeepQueue.table(chains))
        wait_until(self._is_answered, f"some of {COUNT} requests in flight", self._patience)

    def _is_answered(self) -> bool:
        if self._queue.is_answered():
            return True
        if self._transport.status & DEVICE_NEEDS_RESET:
            raise DeviceNeedsReset
        return False


class BlkQueue(Queue):
    """virtio-blk's."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine, 1, 0)

    def transfer(self, from_disk: bool, address: int, size: int) -> None:
        chains = []
        for number in range(COUNT):
            header, status = Segment(self._head(number), HEADER_SIZE), Segment(self._head(number) + ANSWER_AT, 1)
            kind = REQUEST_IN if from_disk else REQUEST_OUT
            self._qtest.write(header.address, struct.pack("<IIQ", kind, 0, place_on_disk(number, size) // SECTOR))
            self._qtest.write(status.address, bytes([NO_STATUS_YET]))
            data = Segment(address + number * size, size)
            chains.append(([header], [data, status]) if from_disk else ([header, data], [status]))
        self._carry_out(chains)
        statuses = {self._qtest.read8(self._head(number) + ANSWER_AT) for number in range(COUNT)}
        if statuses != {0}:
            raise RequestFailed(f"virtio-blk answered with the statuses {sorted(statuses)}")


class ScsiQueue(Queue):
    """virtio-scsi's."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine, QUEUES, REQUEST_QUEUE)
        # The disk tells of its power-on in the answer to one of these.
        ready = struct.pack(">B5x", TEST_UNIT_READY)
        self._carry_out([self._chain(number, ready, True, []) for number in range(COUNT)])

    def transfer(self, from_disk: bool, address: int, size: int) -> None:
        chains = []
        for number in range(COUNT):
            command = READ_16 if from_disk else WRITE_16
            block = place_on_disk(number, size) // SECTOR
            cdb = struct.pack(">BBQIBB", command, 0, block, size // SECTOR, 0, 0)
            chains.append(self._chain(number, cdb, from_disk, [Segment(address + number * size, size)]))
        self._carry_out(chains)
        answers = {self._qtest.read(self._head(number) + ANSWER_AT + 10, 2).hex() for number in range(COUNT)}
        if answers != {"0000"}:
            raise RequestFailed(f"virtio-scsi answered with statuses and responses {sorted(answers)}")

    def _chain(self, number: int, cdb: bytes, from_disk: bool, data: list[Segment]) -> Chain:
        request = Segment(self._head(number), REQUEST_SIZE)
        response = Segment(self._head(number) + ANSWER_AT, RESPONSE_SIZE)
        tag = struct.pack("<QBBB", number, 0, 0, 0)
        self._qtest.write(request.address, (LUN_0_OF_TARGET_0 + tag + cdb).ljust(REQUEST_SIZE, b"\0"))
        self._qtest.write(response.address, bytes([0xFF]) * RESPONSE_SIZE)
        return ([request], [response, *data]) if from_disk else ([request, *data], [response])


def place_on_disk(number: int, size: int) -> int:
    return 2 * number * size


def attempt(disk: Storage, direction: str, size: int, in_ram: bool = False) -> Request:
    """COUNT requests of that size at once, with their data in BAR 4 unless told otherwise."""
    machine = disk.machine
    found = disk.answer(lambda: _compare(disk, InRam(machine) if in_ram else InBar(machine), direction, size))
    return Request(disk.device, direction, size, found.verdict, found.message)


def _compare(disk: Storage, place: Place, direction: str, size: int) -> str:
    """Whether all is the same on both sides, and all else as it was."""
    queue = (ScsiQueue if disk.device == SCSI else BlkQueue)(disk.machine)
    before, on_disk = disk.random_bytes(GUARD + COUNT * size + GUARD), disk.on_disk()
    place.put(before)
    queue.transfer(direction == TO_BAR, place.address, size)
    in_memory, wanted_on_disk = bytearray(before), bytearray(on_disk)
    for number in range(COUNT):
        memory_at, disk_at = GUARD + number * size, place_on_disk(number, size)
        of_memory, of_disk = slice(memory_at, memory_at + size), slice(disk_at, disk_at + size)
        if direction == TO_BAR:
            in_memory[of_memory] = on_disk[of_disk]
        else:
            wanted_on_disk[of_disk] = before[of_memory]
    return OK if place.get(len(before)) == in_memory and disk.on_disk() == wanted_on_disk else WRONG


def all_sizes(disk: Storage) -> list[Request]:
    """Requests of each size in both directions."""
    return [attempt(disk, direction, size) for size in SIZES for direction in DIRECTIONS]


def works_in_ram(disk: Storage) -> bool:
    made = [attempt(disk, direction, max(SIZES), in_ram=True) for direction in DIRECTIONS]
    return all(request.verdict == OK for request in made)
