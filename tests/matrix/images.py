# SPDX-License-Identifier: GPL-2.0-or-later
"""The inner machines' disks: their images, and what each must hold."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from matrix.dimensions import MIB

SIZE = 8 * MIB
SECTOR = 512
GAP = 4096


class Image:
    """One disk, at first full of bytes of its own, and a copy of what it must hold.

    `path` may be a block device. A raw image is looked at as a file, any other by qemu-img.
    """

    def __init__(self, path: Path, format: str, seed: str, templates: Path) -> None:
        self.path = path
        self.format = format
        self._expected = bytearray(random.Random(seed).randbytes(SIZE))
        self._unknown: list[tuple[int, int]] = []
        self._next = GAP
        self._seed = seed
        raw = templates / f"{seed}.raw"
        if not raw.exists():
            raw.write_bytes(self._expected)
        template = raw
        if format != "raw":
            template = templates / f"{seed}.{format}"
            if not template.exists():
                _qemu_img("convert", "-f", "raw", "-O", format, str(raw), str(template))
        with template.open("rb") as source, path.open("r+b" if path.exists() else "w+b") as target:
            shutil.copyfileobj(source, target, MIB)

    def take(self, size: int) -> int:
        """The first sector of a part that no request has touched yet."""
        begin = self._next
        self._next += -(-size // GAP) * GAP + GAP
        if self._next > SIZE:
            raise RuntimeError(f"the requests to one disk want more than its {SIZE:#x} bytes")
        return begin // SECTOR

    def contents(self, sector: int, size: int) -> bytes:
        """What must be there."""
        return bytes(self._expected[sector * SECTOR : sector * SECTOR + size])

    def expect(self, sector: int, data: bytes) -> None:
        """The device must have put the data there."""
        self._expected[sector * SECTOR : sector * SECTOR + len(data)] = data

    def forget(self, sector: int, size: int) -> None:
        """What a failed request has left there is its own business."""
        self._unknown.append((sector * SECTOR, sector * SECTOR + size))

    def differences(self, sector: int, size: int) -> list[str]:
        """Where a raw image isn't as it must be, in this part and around it."""
        begin, end = max(sector * SECTOR - GAP, 0), min(sector * SECTOR + size + GAP, SIZE)
        with self.path.open("rb", buffering=0) as file:
            file.seek(begin)
            return self._compare(begin, file.read(end - begin))

    def all_differences(self, scratch: Path) -> list[str]:
        """Where the whole disk isn't as it must be; no emulator may have it open."""
        raw = self.path
        if self.format != "raw":
            raw = scratch / f"{self._seed}.now"
            _qemu_img("convert", "-f", self.format, "-O", "raw", str(self.path), str(raw))
        with raw.open("rb") as file:
            return self._compare(0, file.read(SIZE))

    def _compare(self, begin: int, found: bytes) -> list[str]:
        wanted = bytearray(self._expected[begin : begin + len(found)])
        for unknown_begin, unknown_end in self._unknown:
            part = slice(max(unknown_begin - begin, 0), max(unknown_end - begin, 0))
            wanted[part] = found[part]
        if found == wanted:
            return []
        first = next((i for i, both in enumerate(zip(found, wanted, strict=False)) if both[0] != both[1]), len(found))
        return [f"{self.path}: first wrong byte at {begin + first:#x}"]


def _qemu_img(*arguments: Sequence[str] | str) -> None:
    command = ["qemu-img", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr}")
