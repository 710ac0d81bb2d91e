# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: a request behind an IOMMU may be as large as one in RAM, though the IOMMU's pages are small."""

from __future__ import annotations

import random
import struct
from pathlib import Path

from drivers import pci
from drivers.request import Segment
from drivers.virtio import VirtioPci
from drivers.virtio_blk import VirtioBlk
from machines import emulators
from pool.machine import FIRST_DISK_SLOT, MIB, Machine, machine

# More pages than an element of a queue may have pieces.
SIZE = 4 * MIB
IOMMU_SLOT, ENDPOINT = FIRST_DISK_SLOT + 1, FIRST_DISK_SLOT << 3
ATTACH, MAP, READABLE, WRITABLE, OK = 1, 3, 1, 2, 0
DOMAIN, ALL = 1, (1 << 40) - 1


class Iommu:
    """virtio-iommu, which answers one request at a time."""

    def __init__(self, running: Machine) -> None:
        self._qtest = running.emulator.qtest
        function = pci.Function(self._qtest, IOMMU_SLOT)
        self._queue = VirtioPci(function, running.window).set_up(0, 2, running.pages)[0]
        self._request, self._tail = running.pages.take(), running.pages.take()

    def carry_out(self, request: bytes) -> None:
        self._qtest.write(self._request, request)
        self._queue.submit([Segment(self._request, len(request))], [Segment(self._tail, 4)])
        self._queue.wait()
        assert self._qtest.read8(self._tail) == OK


def test_c9_4_mib_in_one_descriptor(tmp_path: Path) -> None:
    image, contents = tmp_path / "disk", random.Random(0).randbytes(SIZE)
    image.write_bytes(contents)
    options = [
        "-blockdev", f"driver=file,node-name=disk,filename={image}",
        "-device", f"virtio-blk-pci,drive=disk,disable-legacy=on,iommu_platform=on,addr={FIRST_DISK_SLOT:x}.0",
        "-device", f"virtio-iommu-pci,addr={IOMMU_SLOT:x}.0",
    ]  # fmt: skip
    with machine(emulators.wanted("patched"), tmp_path, SIZE, options) as running:
        iommu = Iommu(running)
        iommu.carry_out(struct.pack("<B3xIII4x", ATTACH, DOMAIN, ENDPOINT, 0))
        iommu.carry_out(struct.pack("<B3xIQQQI", MAP, DOMAIN, 0, ALL, 0, READABLE | WRITABLE))
        function = pci.Function(running.emulator.qtest, FIRST_DISK_SLOT)
        disk = VirtioBlk(running.emulator.qtest, VirtioPci(function, running.window), running.pages)
        disk.transfer(True, 0, [Segment(running.address, SIZE)])
        assert running.bar(0, SIZE) == contents
        turned = contents[::-1]
        running.fill_bar(0, turned)
        disk.transfer(False, 0, [Segment(running.address, SIZE)])
    assert image.read_bytes() == turned
