# SPDX-License-Identifier: GPL-2.0-or-later
"""What is on the guest's disk before the workload and must be there after it; every block tells where it belongs.

The disk is a file system, then one piece of data for each process, then as much space for what they write.
"""

from __future__ import annotations

import hashlib
import os
import random
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from machines.error import MachineError

MIB = 1024 * 1024
SECTOR = 512
BLOCK = 4096
MARK = b"ram-bar "
MARK_SIZE = len(MARK) + 8
# A file system's own data take a part of it.
FILE_SYSTEM_SPARE_MIB = 32


@dataclass(frozen=True)
class Size:
    """How much is done."""

    processes: int
    chunk_mib: int
    rounds: int

    @property
    def all_chunks_mib(self) -> int:
        """What all processes read or write together in one step of one round."""
        return self.processes * self.chunk_mib

    @property
    def source_mib(self) -> int:
        """Where the pieces lie on the disk."""
        return self.all_chunks_mib + FILE_SYSTEM_SPARE_MIB

    @property
    def target_mib(self) -> int:
        """Where the processes write to."""
        return self.source_mib + self.all_chunks_mib

    @property
    def comparisons(self) -> int:
        """How often the guest compares what it has read."""
        return 3 * self.processes * self.rounds

    @property
    def blocks(self) -> int:
        """The blocks of all pieces."""
        return self.all_chunks_mib * MIB // BLOCK

    @property
    def sectors_read_at_least(self) -> int:
        """What the disk must be asked for if nothing is compared that merely was in memory still."""
        return (1 + 3) * self.rounds * self.all_chunks_mib * MIB // SECTOR

    def last_piece(self, process: int) -> int:
        """The piece that a process has in its last round."""
        return (process + self.rounds - 1) % self.processes

    def settings(self) -> dict[str, int]:
        """The numbers that workload.sh wants."""
        return {
            "PROCESSES": self.processes, "CHUNK": self.chunk_mib, "ROUNDS": self.rounds,
            "SOURCE": self.source_mib, "TARGET": self.target_mib,
        }  # fmt: skip


class Contents:
    """The pieces, and a disk with them."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.pieces = [_piece(number, size.chunk_mib * MIB) for number in range(size.processes)]

    def write_checksums(self, target: Path) -> None:
        """A line for each piece."""
        target.write_text("".join(f"{hashlib.sha256(piece).hexdigest()}\n" for piece in self.pieces))

    def write_disk(self, target: Path) -> None:
        """A new disk, ready for the workload."""
        with target.open("wb") as disk:
            disk.truncate((self.size.target_mib + self.size.all_chunks_mib) * MIB)
            disk.seek(self.size.source_mib * MIB)
            for piece in self.pieces:
                disk.write(piece)
        _run("mkfs.ext4", "-q", "-F", "-b", str(BLOCK), str(target), f"{self.size.source_mib}M")

    def differences(self, disk: Path, scratch: Path) -> list[str]:
        """Where a disk isn't as the workload must leave it: raw disk and files, read without mounting it."""
        found = []
        with disk.open("rb") as raw:
            raw.seek(self.size.source_mib * MIB)
            for number, piece in enumerate(self.pieces):
                if raw.read(len(piece)) != piece:
                    found.append(f"piece {number}, which nobody should have written to, has changed")
            for process in range(self.size.processes):
                found += self._difference(process, raw.read(self.size.chunk_mib * MIB), "part of the raw disk")
        for process in range(self.size.processes):
            copy = scratch / f"file-{process}"
            _run("debugfs", "-R", f"dump /{process} {copy}", str(disk))
            found += self._difference(process, copy.read_bytes(), "file")
            copy.unlink()
        return found

    def blocks_in(self, memory: Path) -> int:
        """How many pages of the memory in the file hold a whole block of a piece."""
        count = 0
        with memory.open("rb") as file:
            while page := file.read(BLOCK):
                if page.startswith(MARK):
                    piece, block = (int.from_bytes(page[at : at + 4], "little") for at in (len(MARK), len(MARK) + 4))
                    if piece < len(self.pieces):
                        count += page == self.pieces[piece][block * BLOCK : (block + 1) * BLOCK]
        return count

    def _difference(self, process: int, now: bytes, where: str) -> list[str]:
        expected = self.pieces[self.size.last_piece(process)]
        if now == expected:
            return []
        at = next((i for i, (one, other) in enumerate(zip(now, expected, strict=False)) if one != other), len(now))
        return [f"process {process}'s {where}: {len(now)} bytes, the first wrong one at {at:#x}"]


def _piece(number: int, size: int) -> bytes:
    """Random data, in which each block begins with its mark, its piece's number and its own."""
    data = bytearray(random.Random(number).randbytes(size))
    for block in range(size // BLOCK):
        mark = MARK + number.to_bytes(4, "little") + block.to_bytes(4, "little")
        data[block * BLOCK : block * BLOCK + MARK_SIZE] = mark
    return bytes(data)


def missing_programs() -> list[str]:
    """What isn't here and is needed to make or read the file system."""
    return [program for program in ("mkfs.ext4", "debugfs") if _found(program) is None]


def _found(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _run(program: str, *arguments: str) -> None:
    command = [_found(program) or program, *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MachineError(f"{shlex.join(command)} failed with status {done.returncode}:\n{done.stderr}")
