# SPDX-License-Identifier: GPL-2.0-or-later
"""An inner machine with the test device, and disks that do DMA there."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drivers import pci
from drivers.pages import Pages
from drivers.request import wait_until
from drivers.virtio import EVENT_INDEX, QUEUE_SIZE, DeepQueue, Virtqueue, VirtioPci
from drivers.virtio_blk import HEADER_SIZE, NO_STATUS_YET, REQUEST_IN, REQUEST_OUT, SECTOR, Segment
from machines.qtest_client import Emulator

BAR = pci.HIGH_MMIO
TEST_DEVICE_SLOT, FIRST_DISK_SLOT, ROOT_PORT_SLOT = 4, 8, 5
TEST_DEVICE_BAR = 2
# The disks' registers.
REGISTERS = 0x2000_0000
MIB = 1 << 20
EVERY_ANSWER_SECONDS = 120
# What the emulator tells: a disk has taken a read off its queue; a queue waits for memory.
READ, WAITS = "virtio_blk_handle_read", "virtqueue_waits"


@dataclass
class Machine:
    """A running inner machine. `storage` is what the device's BAR consists of."""

    emulator: Emulator
    storage: Path
    size: int
    pages: Pages
    window: pci.Window

    def disk(self, number: int, queues: int = 1, entries: int = QUEUE_SIZE) -> list[Virtqueue]:
        """Set up a disk; its queues."""
        function = pci.Function(self.emulator.qtest, FIRST_DISK_SLOT + number)
        return VirtioPci(function, self.window).set_up(EVENT_INDEX, queues, self.pages, entries)

    def bar(self, offset: int, size: int) -> bytes:
        with self.storage.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def fill_bar(self, offset: int, data: bytes) -> None:
        with self.storage.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def take_device_away(self) -> None:
        os.truncate(self.storage, 0)

    def bring_device_back(self) -> None:
        os.truncate(self.storage, self.size)

    def private_kib(self) -> int:
        """The emulator's memory that isn't a file's."""
        for line in Path(f"/proc/{self.emulator.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
        raise AssertionError("/proc has no RssAnon")

    def hold_reads(self, number: int) -> None:
        """Let a disk's next read wait for resume()."""
        self._qemu_io(number, "break read_aio held")

    def resume(self, number: int) -> None:
        """Let the held read go on. A disk with an iothread may not have got there yet."""
        self._qemu_io(number, "resume held")

    def resume_until(self, number: int, done: Callable[[], bool], what: str) -> None:
        """Let the held read go on as soon as it can."""

        def resumed_and_done() -> bool:
            self.resume(number)
            return done()

        wait_until(resumed_and_done, what, EVERY_ANSWER_SECONDS)

    def wait_for_trace(self, event: str) -> None:
        """Wait for the first one of a trace event that the emulator was started with."""
        wait_until(lambda: event in self.emulator.messages(), event, EVERY_ANSWER_SECONDS)

    def _qemu_io(self, number: int, command: str) -> None:
        self.emulator.monitor(f'qemu-io -d /machine/peripheral/disk{number}/virtio-backend "{command}"')


@contextmanager
def machine(emulator: Path, folder: Path, size: int, options: Sequence[str], budget: int = 0,
            behind_port: bool = False) -> Iterator[Machine]:
    """Start the emulator with a BAR of that size; `behind_port` makes it a device that can be unplugged."""
    storage = folder / "bar"
    storage.touch()
    os.truncate(storage, size)
    slot = "bus=rootport" if behind_port else f"addr={TEST_DEVICE_SLOT:x}.0"
    command = [
        str(emulator), "-M", "virt" + (f",x-ram-device-buffer-size={budget}" if budget else ""), "-accel", "qtest",
        "-m", "16M", "-display", "none", "-nodefaults",
        *(["-device", f"pcie-root-port,id=rootport,addr={ROOT_PORT_SLOT:x}.0,chassis=1,slot=1"] if behind_port else []),
        "-device", f"ram-device-testdev,id=gpu,{slot},mem-size={size},mem-path={storage}",
        *(word for event in (READ, WAITS) for word in ("-trace", event)), *options,
    ]  # fmt: skip
    messages = folder / "messages"
    messages.touch()
    with Emulator(command, messages) as running:
        qtest = running.qtest
        if behind_port:
            pci.open_port(pci.Function(qtest, ROOT_PORT_SLOT), bus=1)
            pci.Function(qtest, 0, bus=1).place_bar(TEST_DEVICE_BAR, BAR)
        else:
            pci.Function(qtest, TEST_DEVICE_SLOT).place_bar(TEST_DEVICE_BAR, BAR)
        yield Machine(running, storage, size, Pages(qtest), pci.Window(REGISTERS))


def disk_options(number: int, image: Path, queues: int = 1, iothread: bool = False,
                 entries: int = QUEUE_SIZE) -> list[str]:
    """The emulator's arguments for a disk whose requests blkdebug can hold."""
    thread = f",iothread=thread{number}" if iothread else ""
    return [
        *(["-object", f"iothread,id=thread{number}"] if iothread else []),
        "-blockdev", f"driver=file,node-name=file{number},filename={image}",
        "-blockdev", f"driver=blkdebug,node-name=debug{number},image=file{number}",
        "-blockdev", f"driver=raw,node-name=raw{number},file=debug{number}",
        "-device", f"virtio-blk-pci,id=disk{number},addr={FIRST_DISK_SLOT + number:x}.0,drive=raw{number},"
                   f"num-queues={queues},queue-size={entries},disable-legacy=on{thread}",
    ]  # fmt: skip


class Batch:
    """Requests of a disk's queue, a batch of them in flight at once."""

    def __init__(self, machine: Machine, queue: Virtqueue) -> None:
        self._qtest = machine.emulator.qtest
        self._queue = DeepQueue(queue)
        self._heads = machine.pages.take(32 * self._queue.batch)

    def submit(self, from_disk: bool, sector: int, address: int, size: int) -> None:
        """Move as many pieces of `size` bytes side by side, between the disk from `sector` and memory."""
        chains = []
        for number in range(self._queue.batch):
            head = self._heads + 32 * number
            kind = REQUEST_IN if from_disk else REQUEST_OUT
            request = struct.pack("<IIQ", kind, 0, sector + number * size // SECTOR) + bytes([NO_STATUS_YET])
            self._qtest.write(head, request)
            data, status = Segment(address + number * size, size), Segment(head + HEADER_SIZE, 1)
            header = Segment(head, HEADER_SIZE)
            chains.append(([header], [data, status]) if from_disk else ([header, data], [status]))
        self._queue.submit(DeepQueue.table(chains))

    def is_answered(self) -> bool:
        return self._queue.is_answered()

    def statuses(self) -> set[int]:
        return {self._qtest.read8(self._heads + 32 * number + HEADER_SIZE) for number in range(self._queue.batch)}
