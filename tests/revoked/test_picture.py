# SPDX-License-Identifier: GPL-2.0-or-later
"""C7, C9: ramfb, which would read its picture for as long as the machine runs, doesn't take one that is in a BAR."""

from __future__ import annotations

import struct
from pathlib import Path

from drivers.request import ANSWER_SECONDS, wait_until
from machines import emulators
from machines.bar_of_file import Machine, machine
from revoked.scene import BAR_SIZE, PAGE

# The virt machine's fw_cfg, all of whose numbers are big-endian.
FW_CFG_DMA = 0x0902_0010
DIRECTORY, ENTRY_SIZE, RAMFB = 0x19, 64, b"etc/ramfb"
READ, SELECT, WRITE = 0x02, 0x08, 0x10
XR24 = 0x3432_5258


class FwCfg:
    """fw_cfg's DMA interface, which moves data to and from one page of RAM."""

    def __init__(self, running: Machine) -> None:
        self._qtest = running.emulator.qtest
        self._control, self._data = running.pages.take(), running.pages.take()

    def read(self, item: int, size: int) -> bytes:
        self._access(item << 16 | SELECT | READ, size)
        return self._qtest.read(self._data, size)

    def write(self, item: int, data: bytes) -> None:
        self._qtest.write(self._data, data)
        self._access(item << 16 | SELECT | WRITE, len(data))

    def file(self, name: bytes) -> int:
        """The number of the item that has this name."""
        (count,) = struct.unpack(">I", self.read(DIRECTORY, 4))
        directory = self.read(DIRECTORY, 4 + ENTRY_SIZE * count)
        for _, item, found in struct.iter_unpack(">IHxx56s", directory[4:]):
            if found.rstrip(b"\0") == name:
                return int(item)
        raise AssertionError(f"fw_cfg has no {name.decode()}")

    def _access(self, control: int, size: int) -> None:
        self._qtest.write(self._control, struct.pack(">IIQ", control, size, self._data))
        at = struct.pack(">Q", self._control)
        # The lower half comes last, and starts the access.
        for half in (0, 4):
            (word,) = struct.unpack("<I", at[half : half + 4])
            self._qtest.write32(FW_CFG_DMA + half, word)


def screen(running: Machine, file: Path) -> bytes:
    """The beginning of a dump of the screen: kind and size of the picture, and its first dot."""
    running.emulator.monitor(f"screendump {file}")
    wait_until(lambda: file.exists() and file.stat().st_size > 32, "the screen's dump", ANSWER_SECONDS)
    kind, size, depth, dots = file.read_bytes().split(b"\n", 3)
    return b" ".join((kind, size, depth, dots[:3].hex().encode()))


def picture(address: int, width: int, height: int) -> bytes:
    return struct.pack(">QIIIII", address, XR24, 0, width, height, 4 * width)


def test_c9_a_picture_in_a_bar_is_refused_and_one_in_ram_is_shown(tmp_path: Path) -> None:
    with machine(emulators.wanted("patched"), tmp_path, BAR_SIZE, ["-device", "ramfb"]) as running:
        fw_cfg = FwCfg(running)
        ramfb = fw_cfg.file(RAMFB)
        ram = running.pages.take(64 * PAGE)
        running.emulator.qtest.command(f"memset {ram:#x} {64 * PAGE:#x} 0x40")
        running.fill_bar(0, b"\x80" * 64 * PAGE)
        fw_cfg.write(ramfb, picture(ram, 160, 120))
        in_ram = screen(running, tmp_path / "in-ram")
        assert in_ram == b"P6 160 120 255 404040"
        fw_cfg.write(ramfb, picture(running.address, 80, 60))
        assert b" 80 60 " not in screen(running, tmp_path / "in-bar")
        running.cut_bar()
        screen(running, tmp_path / "gone")
        fw_cfg.write(ramfb, picture(ram, 200, 100))
        assert screen(running, tmp_path / "again") == b"P6 200 100 255 404040"
