# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk, a BAR that the disk's requests have their data in, and all that mustn't change when the BAR is gone."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from drivers.request import RequestFailed, Segment
from machines.bar_of_file import Machine, machine
from revoked.graphs import RAW, Graph
from revoked.models import Disk, Model

KIB, MIB = 1024, 1024 * 1024
PAGE = 4 * KIB
DISK_SIZE, BAR_SIZE, RAM_SIZE = 4 * MIB, 4 * MIB, 1 * MIB
BLOCK = 512
# Where a request's data is in the BAR, and the first block of the disk that is concerned.
AT, FIRST = 1 * MIB, 3


@dataclass(frozen=True)
class Cut:
    """A request of `size` bytes of which `left` are still in the BAR; they end with a page."""

    size: int
    left: int

    def __str__(self) -> str:
        return f"{self.left}-of-{self.size}"


# All of a sector, all of many pages, the second half of these.
CUTS = (Cut(512, 0), Cut(64 * KIB, 0), Cut(64 * KIB, 32 * KIB))


@dataclass
class Scene:
    """A running machine with the disk. `contents` is what the guest must find on the disk."""

    machine: Machine
    model: Model
    disk: Disk
    files: Sequence[Path]
    contents: bytearray
    ram: Segment

    def data(self, size: int) -> list[Segment]:
        """A request's memory in the BAR."""
        return [Segment(self.machine.address + AT, size)]

    def write(self, size: int) -> None:
        self.disk.transfer(False, FIRST, self.data(size))

    def read(self, size: int) -> None:
        self.disk.transfer(True, FIRST, self.data(size))

    def answered(self, size: int) -> None:
        """Read into the BAR that is gone. The answer may be the one or the other, but there is one."""
        with suppress(RequestFailed):
            self.read(size)

    def cut(self, cut: Cut) -> None:
        """Take the BAR away from the end of what is left of the request."""
        self.machine.cut_bar(AT + cut.left if cut.left else 0)

    def bring_bar_back(self) -> None:
        self.machine.bring_bar_back()
        if self.model.wants_reset:
            self.disk = self.model.driver(self.machine)

    def unchanged(self) -> str:
        """A digest of every byte of the disk's files and of the RAM that no driver uses."""
        ram = self.machine.emulator.qtest.read(self.ram.address, self.ram.size)
        return digest(b"".join(file.read_bytes() for file in self.files) + ram)

    def take_over(self, left: int) -> str:
        """The digest that unchanged() must give when the disk has got what was left of the request."""
        assert len(self.files) == 1
        self.contents[FIRST * BLOCK : FIRST * BLOCK + left] = self.machine.bar(AT, left)
        ram = self.machine.emulator.qtest.read(self.ram.address, self.ram.size)
        return digest(bytes(self.contents) + ram)

    def works(self, size: int) -> None:
        """The BAR is back, and both requests move just what they must."""
        self.bring_bar_back()
        written = random.Random(size).randbytes(size)
        self.machine.fill_bar(AT, written)
        self.write(size)
        self.contents[FIRST * BLOCK : FIRST * BLOCK + size] = written
        self.machine.fill_bar(0, bytes(BAR_SIZE))
        self.read(size)
        expected = bytes(AT) + written + bytes(BAR_SIZE - AT - size)
        assert digest(self.machine.bar(0, BAR_SIZE)) == digest(expected)
        self.disk.flush()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def scene(
    emulator: Path,
    folder: Path,
    model: Model,
    graph: Graph = RAW,
    more: Sequence[str] = (),
    files: Sequence[Path] = (),
    direct: bool = False,
) -> Iterator[Scene]:
    """Set the scene; `more` are further arguments, and `files` further files that mustn't change.

    When all is over, and the emulator has closed it, the disk must have the contents that it should.
    """
    image = folder / "image"
    contents = bytearray(random.Random(model.name + graph.name).randbytes(DISK_SIZE))
    graph.create(image, bytes(contents))
    options = [*graph.options(image), *more, *model.options]
    with machine(emulator, folder, BAR_SIZE, options, direct=direct) as running:
        ram = Segment(running.pages.take(RAM_SIZE), RAM_SIZE)
        for begin in range(0, RAM_SIZE, RAM_SIZE // 4):
            running.emulator.qtest.write(ram.address + begin, random.Random(begin).randbytes(RAM_SIZE // 4))
        yield Scene(running, model, model.driver(running), [image, *files], contents, ram)
        running.emulator.quit()
    assert digest(graph.contents(image)) == digest(bytes(contents))
