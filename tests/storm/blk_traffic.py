# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-blk requests whose data is in the assigned BAR, QUEUES times DeepQueue.BATCH of them in flight."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

from drivers.request import DeviceNeedsReset, Segment
from drivers.virtio import DEVICE_NEEDS_RESET, EVENT_INDEX, DeepQueue, VirtioPci
from drivers.virtio_blk import HEADER_SIZE, NO_STATUS_YET, REQUEST_IN, REQUEST_OUT, SECTOR
from storm.assigned import HIGH_WINDOW, Machine
from storm.traffic import Counts

KIB, MIB = 1024, 1024 * 1024
DRIVE = "disk"
QUEUES = 4
SLOTS = QUEUES * DeepQueue.BATCH
# A disk that answers at the speed of one, and one that hardly does.
REQUESTS_PER_SECOND, HELD = 200, 1
SIZES = (4 * KIB, 32 * KIB, 512, 8 * KIB)
SLOT_SIZE = max(SIZES)
AREA = SLOTS * SLOT_SIZE
# Areas of the disk: some that are only read, in turn, and the one that is written.
PATTERNS = 3
DISK_SIZE = (PATTERNS + 1) * AREA
# The headers and status bytes, where they are in the BAR: behind the data.
HEADERS_IN_BAR = AREA


def first_contents() -> bytes:
    """What is on the disk before the storm."""
    return random.Random("storm").randbytes(DISK_SIZE)


class BlkTraffic:
    """Half of the queues read and the other half write, in turns.

    Each slot has its own place in the BAR and on the disk. A write whose data could not be had is an error, and leaves
    the disk as it was. What has been read for a BAR that is gone is lost, from some byte on or in between, and the
    answer is ok.
    """

    def __init__(self, machine: Machine, slot: int, disk: Path, headers_in_bar: bool = False) -> None:
        self.counts = Counts()
        self._machine = machine
        self._qtest = machine.qtest
        self._memory = machine.memory
        self._transport = VirtioPci(machine.function(slot), machine.window)
        headers = machine.pages.take(SLOTS * (HEADER_SIZE + 1))
        self._headers_in_bar = headers_in_bar
        self._headers = HIGH_WINDOW + HEADERS_IN_BAR if headers_in_bar else headers
        self._statuses = self._headers + SLOTS * HEADER_SIZE
        self._disk = os.open(disk, os.O_RDONLY)
        self.start_anew()
        contents = os.pread(self._disk, DISK_SIZE, 0)
        self._patterns = [contents[i * AREA : (i + 1) * AREA] for i in range(PATTERNS)]
        self._written = bytearray(contents[PATTERNS * AREA :])
        self._sent = b""
        self._round = 0
        self._batches: dict[int, tuple[bytes, list[bytes]]] = {}

    def start_anew(self) -> None:
        queues = self._transport.set_up(EVENT_INDEX, QUEUES, self._machine.pages)
        self._queues = [DeepQueue(queue) for queue in queues]

    def submit(self) -> None:
        self._round += 1
        self._sent = self._memory[:AREA]
        headers, tables = self._batch()
        self._qtest.write(self._headers, headers)
        for queue, table in zip(self._queues, tables, strict=True):
            queue.submit(table)

    def hold(self) -> None:
        self._let_pass(HELD)

    def let_go(self) -> None:
        self._let_pass(REQUESTS_PER_SECOND)

    def _let_pass(self, requests_per_second: int) -> None:
        others = dict.fromkeys(("bps", "bps_rd", "bps_wr", "iops_rd", "iops_wr"), 0)
        limits = {"device": DRIVE, "iops": requests_per_second, **others}
        self._machine.emulator.execute("block_set_io_throttle", limits)

    def is_taken(self) -> bool:
        return all(queue.is_taken() for queue in self._queues)

    def is_answered(self) -> bool:
        answered = all(queue.is_answered() for queue in self._queues)
        if not answered and self._transport.status & DEVICE_NEEDS_RESET:
            raise DeviceNeedsReset
        return answered

    def collect(self) -> None:
        statuses = self._qtest.read(self._statuses, SLOTS)
        for slot, status in enumerate(statuses):
            if status == NO_STATUS_YET and self._headers_in_bar:
                self.counts.lost += 1
            elif status == NO_STATUS_YET:
                self.counts.wrong.append(f"slot {slot} was used, and has no status")
            elif status:
                self.counts.error += 1
            else:
                self.counts.ok += 1
            if self._reads(slot):
                if not status:
                    self._check_read(slot)
            else:
                self._check_written(slot, status)

    def _check_read(self, slot: int) -> None:
        part = self._part(slot)
        found, old, new = self._memory[part], self._sent[part], self._pattern()[part]
        if any(now not in both for now, *both in zip(found, old, new, strict=True)):
            self.counts.wrong.append(f"round {self._round}: slot {slot} in the BAR is neither as it was nor as read")
        elif found != new:
            self.counts.lost += 1

    def _check_written(self, slot: int, status: int) -> None:
        part = self._part(slot)
        found = os.pread(self._disk, part.stop - part.start, PATTERNS * AREA + part.start)
        old, new = self._written[part], self._sent[part]
        allowed = (old, new) if status == NO_STATUS_YET else (old,) if status else (new,)
        if found not in allowed:
            self.counts.wrong.append(f"round {self._round}: slot {slot} on the disk isn't what status {status} says")
        self._written[part] = found

    def _batch(self) -> tuple[bytes, list[bytes]]:
        """The headers and status bytes, and each queue's descriptors; they are the same every few rounds."""
        turn = self._round % (2 * PATTERNS)
        if turn not in self._batches:
            headers = b"".join(
                struct.pack("<IIQ", REQUEST_IN if self._reads(slot) else REQUEST_OUT, 0, self._sector(slot))
                for slot in range(SLOTS)
            )
            chains = [self._chain(slot) for slot in range(SLOTS)]
            tables = [DeepQueue.table(chains[i : i + DeepQueue.BATCH]) for i in range(0, SLOTS, DeepQueue.BATCH)]
            self._batches[turn] = (headers + bytes([NO_STATUS_YET]) * SLOTS, tables)
        return self._batches[turn]

    def _reads(self, slot: int) -> bool:
        return (slot // DeepQueue.BATCH + self._round) % 2 == 0

    def _pattern(self) -> bytes:
        return self._patterns[self._round // 2 % PATTERNS]

    def _sector(self, slot: int) -> int:
        area = self._round // 2 % PATTERNS if self._reads(slot) else PATTERNS
        return (area * AREA + slot * SLOT_SIZE) // SECTOR

    def _part(self, slot: int) -> slice:
        return slice(slot * SLOT_SIZE, slot * SLOT_SIZE + SIZES[slot % len(SIZES)])

    def _chain(self, slot: int) -> tuple[list[Segment], list[Segment]]:
        part = self._part(slot)
        data = Segment(HIGH_WINDOW + part.start, part.stop - part.start)
        header = Segment(self._headers + slot * HEADER_SIZE, HEADER_SIZE)
        status = Segment(self._statuses + slot, 1)
        return ([header], [data, status]) if self._reads(slot) else ([header, data], [status])


class ZeroesTraffic(BlkTraffic):
    """Reads only, of a disk that says that it holds zeroes there, and leaves it to QEMU to write them."""

    STRIDE = 2 * MIB
    FILLER = b"\xa5" * SLOT_SIZE

    def submit(self) -> None:
        for slot in range(SLOTS):
            part = self._part(slot)
            self._memory[part] = self.FILLER[: part.stop - part.start]
        super().submit()

    def _check_read(self, slot: int) -> None:
        found = self._memory[self._part(slot)].strip(b"\0")
        if found.strip(self.FILLER[:1] + b"\0"):
            self.counts.wrong.append(f"round {self._round}: slot {slot} in the BAR is neither zeroed nor as it was")
        elif found:
            self.counts.lost += 1

    def _reads(self, slot: int) -> bool:
        return True

    def _sector(self, slot: int) -> int:
        return slot * self.STRIDE // SECTOR
