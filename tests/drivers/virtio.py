# SPDX-License-Identifier: GPL-2.0-or-later
"""What all virtio drivers share, spoken through qtest: the two transports, and split virtqueues.

One chain is in flight at a time on each queue, but on a DeepQueue. The queues lie in ordinary RAM; what a chain's
descriptors point to may lie anywhere. Names and numbers are those of the virtio 1.2 specification.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence

from drivers import pci
from drivers.pages import Pages
from drivers.request import ANSWER_SECONDS, DeviceNeedsReset, Segment, wait_until
from machines.qtest_client import EmulatorError, QTest

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, DEVICE_NEEDS_RESET = 1, 2, 4, 8, 0x40
EVENT_INDEX, VERSION_1, ACCESS_PLATFORM = 1 << 29, 1 << 32, 1 << 33
BLOCK_DEVICE = 2

DESC_NEXT, DESC_WRITE = 1, 2
QUEUE_SIZE = 64
# A queue's parts begin at so many bytes for each of its entries; it has LENGTH of them in all.
DESCRIPTORS, AVAILABLE, USED = PARTS = 0, 16, 32
LENGTH = 64


class Transport(ABC):
    """A way to reach a virtio device's registers."""

    def __init__(self, qtest: QTest) -> None:
        self.qtest = qtest

    @property
    @abstractmethod
    def status(self) -> int:
        """The device status; writing 0 resets the device."""

    @status.setter
    @abstractmethod
    def status(self, value: int) -> None: ...

    @abstractmethod
    def offered(self) -> int:
        """The features that the device offers."""

    @abstractmethod
    def accept(self, features: int) -> None: ...

    @abstractmethod
    def enable_queue(self, index: int, page: int, entries: int) -> None:
        """Let the queue of so many entries whose parts are from this page on work."""

    @abstractmethod
    def notify(self, queue: int) -> None: ...

    def set_up(self, wanted: int, queues: int, pages: Pages, entries: int = QUEUE_SIZE) -> list[Virtqueue]:
        """Reset the device and make it ready, with those of the wanted features that it offers."""
        self.status = 0
        self.status = ACKNOWLEDGE | DRIVER
        # A device that offers ACCESS_PLATFORM works with nobody who doesn't accept it.
        self.accept(((wanted | ACCESS_PLATFORM) & self.offered()) | VERSION_1)
        self.status = ACKNOWLEDGE | DRIVER | FEATURES_OK
        if not self.status & FEATURES_OK:
            raise EmulatorError("the virtio device doesn't accept its own features")
        made = []
        for index in range(queues):
            made.append(Virtqueue(self, index, pages.take(LENGTH * entries), entries))
            self.enable_queue(index, made[-1].page, entries)
        self.status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK
        return made


class Virtqueue:
    """A split virtqueue with at most one chain in flight."""

    def __init__(self, transport: Transport, index: int, page: int, entries: int) -> None:
        self.transport = transport
        self._qtest = transport.qtest
        self.index = index
        self.page = page
        self.entries = entries
        self.available, self.used = page + AVAILABLE * entries, page + USED * entries
        self._submitted = 0

    def submit(self, readable: Sequence[Segment], writable: Sequence[Segment]) -> None:
        """Give the device one chain; `readable` and `writable` are meant from its point of view."""
        chain = [(segment, 0) for segment in readable] + [(segment, DESC_WRITE) for segment in writable]
        last = len(chain) - 1
        table = b"".join(
            struct.pack(
                "<QIHH", part.address, part.size, flags | (DESC_NEXT if i < last else 0), (i + 1) % self.entries
            )
            for i, (part, flags) in enumerate(chain)
        )
        self._submitted = (self._submitted + 1) & 0xFFFF
        # The ring's flags, its index, and the ring: all its entries name descriptor 0.
        ring = struct.pack("<HH", 0, self._submitted) + bytes(2 * self.entries)
        self._qtest.write(self.page, table)
        self._qtest.write(self.available, ring)
        self.transport.notify(self.index)

    def wait(self, timeout: float = ANSWER_SECONDS) -> int:
        """Wait until the device has used the chain; the number of bytes that it says it has written.

        Raises DeviceNeedsReset if it refuses the chain, NoAnswer if it does nothing.
        """

        def used() -> bool:
            (index,) = struct.unpack("<H", self._qtest.read(self.used + 2, 2))
            if index != self._submitted and self.transport.status & DEVICE_NEEDS_RESET:
                raise DeviceNeedsReset
            return bool(index == self._submitted)

        wait_until(used, f"queue {self.index} of the virtio device", timeout)
        slot = (self._submitted - 1) % self.entries
        (written,) = struct.unpack("<I", self._qtest.read(self.used + 4 + 8 * slot + 4, 4))
        return int(written)


class DeepQueue:
    """A set-up virtqueue that takes its chains by batches, all of a batch in flight at once.

    A batch is put into the ring only when the one before was answered. It divides the queue's size, and a chain
    has the same place in each batch, so the ring's entries never change: a device that looks at the ring while
    it is written sees nothing wrong.
    """

    LONGEST_CHAIN = 4
    BATCH = QUEUE_SIZE // LONGEST_CHAIN
    """A queue of the usual size has so many chains in flight."""

    def __init__(self, queue: Virtqueue) -> None:
        self._queue = queue
        self._qtest = queue.transport.qtest
        self._submitted = 0
        self.batch = queue.entries // self.LONGEST_CHAIN
        entries = [i % self.batch * self.LONGEST_CHAIN for i in range(queue.entries)]
        self._qtest.write(queue.available, struct.pack(f"<{2 + queue.entries}H", 0, 0, *entries))

    @classmethod
    def table(cls, chains: Sequence[tuple[Sequence[Segment], Sequence[Segment]]]) -> bytes:
        """The descriptors of a batch: each chain's readable and writable segments."""
        table = bytearray(16 * cls.LONGEST_CHAIN * len(chains))
        for number, (readable, writable) in enumerate(chains):
            parts = [(segment, 0) for segment in readable] + [(segment, DESC_WRITE) for segment in writable]
            first = number * cls.LONGEST_CHAIN
            for place, (segment, flags) in enumerate(parts, start=first):
                chained = DESC_NEXT if place + 1 < first + len(parts) else 0
                struct.pack_into("<QIHH", table, 16 * place, segment.address, segment.size, flags | chained, place + 1)
        return bytes(table)

    def submit(self, table: bytes) -> None:
        """Give the device a batch of chains, described by table()."""
        assert len(table) == 16 * self._queue.entries
        self._submitted = (self._submitted + self.batch) & 0xFFFF
        self._qtest.write(self._queue.page, table)
        self._qtest.write16(self._queue.available + 2, self._submitted)
        self._queue.transport.notify(self._queue.index)

    def is_taken(self) -> bool:
        """Whether the device has taken every chain out of the ring; it tells so by EVENT_INDEX, if it was accepted."""
        event = self._queue.used + 4 + 8 * self._queue.entries
        return self._qtest.read16(event) == self._submitted

    def is_answered(self) -> bool:
        return self._qtest.read16(self._queue.used + 2) == self._submitted


class VirtioMmio(Transport):
    """The first device of a type on the virt machine's modern virtio-mmio transports."""

    FIRST, STRIDE, COUNT = 0x0A00_0000, 0x200, 32
    MAGIC, VERSION, DEVICE_ID = 0x000, 0x004, 0x008
    DEVICE_FEATURES, DEVICE_FEATURES_SEL = 0x010, 0x014
    DRIVER_FEATURES, DRIVER_FEATURES_SEL = 0x020, 0x024
    QUEUE_SEL, QUEUE_NUM, QUEUE_READY, QUEUE_NOTIFY = 0x030, 0x038, 0x044, 0x050
    STATUS = 0x070
    QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE = 0x080, 0x090, 0x0A0
    MAGIC_VALUE, MODERN = 0x7472_6976, 2

    def __init__(self, qtest: QTest, device: int) -> None:
        super().__init__(qtest)
        wanted = [self.MAGIC_VALUE, self.MODERN, device]
        for base in range(self.FIRST, self.FIRST + self.COUNT * self.STRIDE, self.STRIDE):
            if [qtest.read32(base + register) for register in (self.MAGIC, self.VERSION, self.DEVICE_ID)] == wanted:
                self._base = base
                return
        raise EmulatorError(f"the inner machine has no virtio device {device} on a modern virtio-mmio transport")

    @property
    def status(self) -> int:
        return self._get(self.STATUS)

    @status.setter
    def status(self, value: int) -> None:
        self._set(self.STATUS, value)

    def offered(self) -> int:
        features = 0
        for word in (0, 1):
            self._set(self.DEVICE_FEATURES_SEL, word)
            features |= self._get(self.DEVICE_FEATURES) << (32 * word)
        return features

    def accept(self, features: int) -> None:
        for word in (0, 1):
            self._set(self.DRIVER_FEATURES_SEL, word)
            self._set(self.DRIVER_FEATURES, features >> (32 * word) & 0xFFFF_FFFF)

    def enable_queue(self, index: int, page: int, entries: int) -> None:
        self._set(self.QUEUE_SEL, index)
        self._set(self.QUEUE_NUM, entries)
        for register, part in zip((self.QUEUE_DESC, self.QUEUE_DRIVER, self.QUEUE_DEVICE), PARTS, strict=True):
            self._set(register, page + part * entries & 0xFFFF_FFFF)
            self._set(register + 4, page + part * entries >> 32)
        self._set(self.QUEUE_READY, 1)

    def notify(self, queue: int) -> None:
        self._set(self.QUEUE_NOTIFY, queue)

    def _get(self, register: int) -> int:
        return self.qtest.read32(self._base + register)

    def _set(self, register: int, value: int) -> None:
        self.qtest.write32(self._base + register, value)


class VirtioPci(Transport):
    """A modern virtio device on PCI; its registers are in the BAR that the window places."""

    VENDOR_CAPABILITY = 0x09
    COMMON, NOTIFY = 1, 2
    DEVICE_FEATURE_SELECT, DEVICE_FEATURE, DRIVER_FEATURE_SELECT, DRIVER_FEATURE = 0x00, 0x04, 0x08, 0x0C
    DEVICE_STATUS, QUEUE_SELECT, QUEUE_COUNT, QUEUE_ENABLE, QUEUE_NOTIFY_OFF = 0x14, 0x16, 0x18, 0x1C, 0x1E
    QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE = 0x20, 0x28, 0x30

    def __init__(self, function: pci.Function, window: pci.Window) -> None:
        super().__init__(function.qtest)
        places: dict[int, int] = {}
        placed: dict[int, int] = {}
        self._multiplier = 0
        for capability in function.capabilities(self.VENDOR_CAPABILITY):
            kind, bar = function.config8(capability + 3), function.config8(capability + 4)
            if kind not in (self.COMMON, self.NOTIFY):
                continue
            if bar not in placed:
                placed[bar] = window.place(function, bar).address
            places[kind] = placed[bar] + function.config32(capability + 8)
            if kind == self.NOTIFY:
                self._multiplier = function.config32(capability + 16)
        if len(places) != 2:
            raise EmulatorError(f"PCI device {function.identity():#x} has no modern virtio capabilities")
        # This driver polls, and may reset a device that says so while its iothread is about to interrupt: without
        # MSI-X that wants the big lock for the interrupt controller, and the reset, which has the lock, waits for the
        # iothread.
        function.set_command(pci.COMMAND_NO_INTX)
        self._common, self._notify = places[self.COMMON], places[self.NOTIFY]
        self._doorbells: dict[int, int] = {}

    @property
    def status(self) -> int:
        return self.qtest.read8(self._common + self.DEVICE_STATUS)

    @status.setter
    def status(self, value: int) -> None:
        self.qtest.write8(self._common + self.DEVICE_STATUS, value)

    def offered(self) -> int:
        features = 0
        for word in (0, 1):
            self.qtest.write32(self._common + self.DEVICE_FEATURE_SELECT, word)
            features |= self.qtest.read32(self._common + self.DEVICE_FEATURE) << (32 * word)
        return features

    def accept(self, features: int) -> None:
        for word in (0, 1):
            self.qtest.write32(self._common + self.DRIVER_FEATURE_SELECT, word)
            self.qtest.write32(self._common + self.DRIVER_FEATURE, features >> (32 * word) & 0xFFFF_FFFF)

    def enable_queue(self, index: int, page: int, entries: int) -> None:
        self.qtest.write16(self._common + self.QUEUE_SELECT, index)
        self.qtest.write16(self._common + self.QUEUE_COUNT, entries)
        for register, part in zip((self.QUEUE_DESC, self.QUEUE_DRIVER, self.QUEUE_DEVICE), PARTS, strict=True):
            self.qtest.write32(self._common + register, page + part * entries & 0xFFFF_FFFF)
            self.qtest.write32(self._common + register + 4, page + part * entries >> 32)
        offset = self.qtest.read16(self._common + self.QUEUE_NOTIFY_OFF)
        self._doorbells[index] = self._notify + offset * self._multiplier
        self.qtest.write16(self._common + self.QUEUE_ENABLE, 1)

    def doorbell(self, queue: int) -> int:
        """The address at which an enabled queue is notified."""
        return self._doorbells[queue]

    def notify(self, queue: int) -> None:
        self.qtest.write16(self._doorbells[queue], queue)
