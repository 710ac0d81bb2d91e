# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's NVMe driver, spoken through qtest: the admin queues and one pair of I/O queues.

One command is in flight at a time, but for transfers that are begun. Its data is described by PRP entries, or by SGL
descriptors, whose ranges may begin and end anywhere. Names and numbers are those of the NVM Express base
specification 1.4.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from drivers import pci
from drivers.pages import PAGE, Pages
from drivers.request import ANSWER_SECONDS, RequestFailed, Segment, total, wait_until
from machines.qtest_client import EmulatorError

# Controller registers, in BAR 0.
CC, CSTS, AQA, ASQ, ACQ, DOORBELLS = 0x14, 0x1C, 0x24, 0x28, 0x30, 0x1000
# Submission queue entries of 64 bytes, completion queue entries of 16, pages of 4 KiB, enabled.
CC_ENABLED = 6 << 16 | 4 << 20 | 1
CSTS_READY, CSTS_FATAL = 1, 2

DELETE_IO_SUBMISSION_QUEUE, CREATE_IO_SUBMISSION_QUEUE, CREATE_IO_COMPLETION_QUEUE = 0x00, 0x01, 0x05
GET_LOG_PAGE, IDENTIFY, SET_FEATURES, GET_FEATURES = 0x02, 0x06, 0x09, 0x0A
IDENTIFY_CONTROLLER, SMART_LOG, TIMESTAMP = 1, 2, 0x0E
FLUSH, WRITE, READ, COMPARE, WRITE_ZEROES, DATA_SET_MANAGEMENT = 0x00, 0x01, 0x02, 0x05, 0x08, 0x09
DEALLOCATE = 4
RANGE_SIZE = 16
# The controller makes and checks the protection information by itself (PRACT).
PROTECT = 1 << 29
NAMESPACE, NO_NAMESPACE, EVERY_NAMESPACE = 1, 0, 0xFFFF_FFFF
USES_SGL = 1 << 6  # PSDT, in the second byte of a command
SGL_DATA_BLOCK, SGL_LAST_SEGMENT = 0x00, 0x30
SGL_SIZE = 16
PRP_ALIGNMENT = 4
PHASE = 1

ADMIN, IO, ANOTHER = 0, 1, 2
ENTRIES = 16
BLOCK = 512


class _QueuePair:
    """A submission and a completion queue with one number, each in a page of its own."""

    def __init__(self, nvme: Nvme, number: int, pages: Pages) -> None:
        self._nvme = nvme
        self._number = number
        self.submissions, self.completions = pages.take(), pages.take()
        self._submitted = 0

    def submit(self, command: bytes) -> int:
        """Have one command of 64 bytes carried out; its number. Fewer than ENTRIES may be under way."""
        number = self._submitted
        self._nvme.qtest.write(self.submissions + 64 * (number % ENTRIES), command)
        self._submitted += 1
        self._nvme.ring(2 * self._number, self._submitted % ENTRIES)
        return number

    def is_completed(self, number: int) -> bool:
        """Is that command done? They must be asked for, and done, in their order. RequestFailed if it has failed."""
        (status,) = struct.unpack("<H", self._nvme.qtest.read(self.completions + 16 * (number % ENTRIES) + 14, 2))
        if status & PHASE != number // ENTRIES + PHASE & PHASE:
            return False
        self._nvme.ring(2 * self._number + 1, (number + 1) % ENTRIES)
        if status >> 1:
            raise RequestFailed(f"the NVMe controller answered with status {status >> 1:#x}")
        return True

    def execute(self, command: bytes, timeout: float) -> None:
        """Carry out one command of 64 bytes."""
        number = self.submit(command)
        wait_until(lambda: self.is_completed(number), f"queue {self._number} of the NVMe controller", timeout)


class Nvme:
    """The NVMe controller in one slot, reset and ready for I/O on its first namespace."""

    def __init__(self, function: pci.Function, window: pci.Window, pages: Pages) -> None:
        self.qtest = function.qtest
        self._registers = window.place(function, 0).address
        self._list = pages.take(2 * PAGE)
        self._set(CC, 0)
        wait_until(lambda: not self._get(CSTS) & CSTS_READY, "the NVMe controller's reset", ANSWER_SECONDS)
        self._admin, self._io = _QueuePair(self, ADMIN, pages), _QueuePair(self, IO, pages)
        self._set(AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1))
        for register, address in ((ASQ, self._admin.submissions), (ACQ, self._admin.completions)):
            self._set(register, address & 0xFFFF_FFFF)
            self._set(register + 4, address >> 32)
        self._set(CC, CC_ENABLED)
        wait_until(lambda: bool(self._get(CSTS) & (CSTS_READY | CSTS_FATAL)), "the NVMe controller", ANSWER_SECONDS)
        if self._get(CSTS) & CSTS_FATAL:
            raise EmulatorError("the NVMe controller doesn't accept its configuration")
        self._create(IO, self._io)

    def _create(self, number: int, pair: _QueuePair) -> None:
        size_and_number = (ENTRIES - 1) << 16 | number
        for opcode, queue, flags in (
            (CREATE_IO_COMPLETION_QUEUE, pair.completions, 1),
            (CREATE_IO_SUBMISSION_QUEUE, pair.submissions, number << 16 | 1),
        ):
            pointer = struct.pack("<QQ", queue, 0)
            self._admin.execute(_command(opcode, 0, 0, pointer, size_and_number, flags), ANSWER_SECONDS)

    def begin_transfer_on_another_queue(self, from_disk: bool, block: int, data: Segment, pages: Pages) -> None:
        """The same as begin_transfer(), on a queue that is made for it."""
        another = _QueuePair(self, ANOTHER, pages)
        self._create(ANOTHER, another)
        another.submit(self._transfer(from_disk, block, [data], by_sgl=True, protect=False))

    def delete_another_queue(self, timeout: float = ANSWER_SECONDS) -> None:
        """What is under way on it is cancelled."""
        self._admin.execute(_command(DELETE_IO_SUBMISSION_QUEUE, 0, 0, bytes(16), ANOTHER), timeout)

    def transfer(
        self,
        from_disk: bool,
        block: int,
        data: Sequence[Segment],
        timeout: float = ANSWER_SECONDS,
        by_sgl: bool = False,
        protect: bool = False,
    ) -> None:
        """Read or write. SGL descriptors, one a segment, are used on request, and where PRP entries won't do.

        `protect` is for namespaces with protection information.
        """
        self._io.execute(self._transfer(from_disk, block, data, by_sgl, protect), timeout)

    def begin_transfer(self, from_disk: bool, block: int, *data: Segment) -> Callable[[], bool]:
        """Have it read or written, described by SGL descriptors; what tells that it is done, once."""
        number = self._io.submit(self._transfer(from_disk, block, data, by_sgl=True, protect=False))
        return lambda: self._io.is_completed(number)

    def flush(self, timeout: float = ANSWER_SECONDS) -> None:
        self._io.execute(_command(FLUSH, 0, NAMESPACE, bytes(16)), timeout)

    def write_zeroes(self, block: int, count: int, timeout: float = ANSWER_SECONDS) -> None:
        command = _command(WRITE_ZEROES, 0, NAMESPACE, bytes(16), block & 0xFFFF_FFFF, block >> 32, count - 1)
        self._io.execute(command, timeout)

    def compare(self, block: int, data: Segment, timeout: float = ANSWER_SECONDS) -> None:
        """Have the blocks compared with memory; RequestFailed if they differ."""
        place = (block & 0xFFFF_FFFF, block >> 32, data.size // BLOCK - 1)
        self._io.execute(_command(COMPARE, 0, NAMESPACE, self._prp(data)[0], *place), timeout)

    def deallocate(self, ranges: Segment, timeout: float = ANSWER_SECONDS) -> None:
        """Give up the blocks that block_ranges() has described there."""
        count = ranges.size // RANGE_SIZE
        pointer = self._prp(ranges)[0]
        self._io.execute(_command(DATA_SET_MANAGEMENT, 0, NAMESPACE, pointer, count - 1, DEALLOCATE), timeout)

    def identify(self, into: Segment, timeout: float = ANSWER_SECONDS) -> None:
        """What the controller says of itself, a page."""
        command = _command(IDENTIFY, 0, NO_NAMESPACE, self._prp(into)[0], IDENTIFY_CONTROLLER)
        self._admin.execute(command, timeout)

    def smart_log(self, into: Segment, timeout: float = ANSWER_SECONDS) -> None:
        words = into.size // 4 - 1
        command = _command(GET_LOG_PAGE, 0, EVERY_NAMESPACE, self._prp(into)[0], words << 16 | SMART_LOG)
        self._admin.execute(command, timeout)

    def set_timestamp(self, data: Segment, timeout: float = ANSWER_SECONDS) -> None:
        self._admin.execute(_command(SET_FEATURES, 0, NO_NAMESPACE, self._prp(data)[0], TIMESTAMP), timeout)

    def get_timestamp(self, into: Segment, timeout: float = ANSWER_SECONDS) -> None:
        self._admin.execute(_command(GET_FEATURES, 0, NO_NAMESPACE, self._prp(into)[0], TIMESTAMP), timeout)

    def ring(self, doorbell: int, value: int) -> None:
        self._set(DOORBELLS + 4 * doorbell, value)

    def _transfer(self, from_disk: bool, block: int, data: Sequence[Segment], by_sgl: bool, protect: bool) -> bytes:
        by_prp = not by_sgl and len(data) == 1 and data[0].address % PRP_ALIGNMENT == 0
        pointer, flags = self._prp(data[0]) if by_prp else self._sgl(data)
        place = (block & 0xFFFF_FFFF, block >> 32, total(data) // BLOCK - 1 | (PROTECT if protect else 0))
        return _command(READ if from_disk else WRITE, flags, NAMESPACE, pointer, *place)

    def _prp(self, segment: Segment) -> tuple[bytes, int]:
        """The command's data pointer; entries beyond the second are in a list."""
        end = segment.address + segment.size
        entries = [segment.address, *range((segment.address // PAGE + 1) * PAGE, end, PAGE)]
        if len(entries) <= 2:
            return struct.pack("<QQ", *entries, *[0] * (2 - len(entries))), 0
        if len(entries) - 1 > PAGE // 8:
            raise EmulatorError(f"a PRP list of one page can't describe {segment.size} bytes")
        self.qtest.write(self._list, struct.pack(f"<{len(entries) - 1}Q", *entries[1:]))
        return struct.pack("<QQ", entries[0], self._list), 0

    def _sgl(self, data: Sequence[Segment]) -> tuple[bytes, int]:
        """The same by SGL descriptors: one in the command, or a segment of several."""
        blocks = [struct.pack("<QI3xB", part.address, part.size, SGL_DATA_BLOCK) for part in data]
        if len(blocks) == 1:
            return blocks[0], USES_SGL
        self.qtest.write(self._list, b"".join(blocks))
        return struct.pack("<QI3xB", self._list, SGL_SIZE * len(blocks), SGL_LAST_SEGMENT), USES_SGL

    def _get(self, register: int) -> int:
        return self.qtest.read32(self._registers + register)

    def _set(self, register: int, value: int) -> None:
        self.qtest.write32(self._registers + register, value)


def block_ranges(ranges: Sequence[tuple[int, int]]) -> bytes:
    """What the data of deallocate() says: first blocks and counts."""
    return b"".join(struct.pack("<IIQ", 0, count, block) for block, count in ranges)


def _command(opcode: int, flags: int, namespace: int, pointer: bytes, *words: int) -> bytes:
    """A submission queue entry; `words` are its command dwords from 10 on."""
    head = struct.pack("<BBHI16x", opcode, flags, 0, namespace)
    return head + pointer + struct.pack("<6I", *words, *[0] * (6 - len(words)))
