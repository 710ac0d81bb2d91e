# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: what a device model would hold for long, as memory, is refused in a RAM device: a buffer is a snapshot of it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from drivers import pci
from drivers.request import Segment
from drivers.virtio import VirtioPci
from machines import emulators
from pool.machine import FIRST_DISK_SLOT, MIB, machine

CREATE_2D, ATTACH_BACKING = 0x101, 0x106
OK_NODATA, ERR_UNSPEC = 0x1100, 0x1200
BGRA8888, RESOURCE = 1, 1
WIDTH, HEIGHT = 64, 64
HEADER = 24


@pytest.mark.parametrize("size", [4096, WIDTH * HEIGHT * 4])
def test_c9_a_picture_of_virtio_gpu_can_lie_in_ram_only(tmp_path: Path, size: int) -> None:
    gpu = ["-device", f"virtio-gpu-pci,addr={FIRST_DISK_SLOT:x}.0"]
    with machine(emulators.wanted("patched"), tmp_path, MIB, gpu) as running:
        qtest = running.emulator.qtest
        (control, _cursor) = VirtioPci(pci.Function(qtest, FIRST_DISK_SLOT), running.window).set_up(0, 2, running.pages)
        command, answer, picture = (running.pages.take(size) for size in (4096, 4096, size))

        def ask(kind: int, rest: bytes) -> int:
            qtest.write(command, struct.pack("<I", kind) + bytes(HEADER - 4) + rest)
            control.submit([Segment(command, HEADER + len(rest))], [Segment(answer, HEADER)])
            control.wait()
            return qtest.read32(answer)

        assert ask(CREATE_2D, struct.pack("<IIII", RESOURCE, BGRA8888, WIDTH, HEIGHT)) == OK_NODATA
        for address, expected in ((running.address, ERR_UNSPEC), (picture, OK_NODATA)):
            assert ask(ATTACH_BACKING, struct.pack("<IIQII", RESOURCE, 1, address, size, 0)) == expected
