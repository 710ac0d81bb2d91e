# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the outer VM: tries, for each of the kernel's drivers, when a mapping of a BAR can be accessed.

    mapping_lives.py WORK DRIVER...

Writes an Observed as a line of JSON for each access to WORK/observed.jsonl. Each is made in a process of its own, which
a bus error may end.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from drivers import pci
from storm.assigned import CONFIG_REGION, IVSHMEM, MEMORY_SIZE, HostDevice, gpu, region
from storm.scenarios import NVGRACE
from storm.vfio_device import VfioDevice

OBSERVED_FILE = "observed.jsonl"
WRITTEN = 0x5A
SHARED, READ_AND_WRITE, FIXED, MAY_MOVE = mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE, 2, 1
FAILED = ctypes.c_void_p(-1).value

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


@dataclass(frozen=True)
class Observed:
    """An access to a mapping: the byte that was read, or the signal that it ended in."""

    driver: str
    what: str
    byte: int | None
    signal: int | None


class Tried:
    """A device whose mappings are tried; they keep it open."""

    def __init__(self, device: VfioDevice, bar: int) -> None:
        self._device = device
        self._bar = bar
        self._mappings: set[int] = set()

    def close(self) -> None:
        for mapping in self._mappings:
            libc.munmap(mapping, MEMORY_SIZE)
        self._device.close()

    def enable_memory(self, on: bool) -> None:
        command = pci.COMMAND_MASTER | (pci.COMMAND_MEMORY if on else 0)
        os.pwrite(self._device.file, command.to_bytes(2, "little"), region(CONFIG_REGION) + pci.COMMAND)

    def mapped(self) -> int:
        """The address of a new mapping of the BAR."""
        offset = region(self._bar)
        mapping = _checked(libc.mmap(None, MEMORY_SIZE, READ_AND_WRITE, SHARED, self._device.file, offset))
        self._mappings.add(mapping)
        return mapping

    def move(self, mapping: int, target: int) -> None:
        """Let a mapping take another one's place."""
        _checked(libc.mremap(mapping, MEMORY_SIZE, MEMORY_SIZE, MAY_MOVE | FIXED, target))
        self._mappings.remove(mapping)

    def steps(self) -> Iterator[tuple[str, int]]:
        """Each thing that is to be observed, and the mapping that is accessed then."""
        self.enable_memory(True)
        first = self.mapped()
        ctypes.c_uint8.from_address(first).value = WRITTEN
        yield "a mapping", first
        self.enable_memory(False)
        yield "memory-enable is cleared", first
        self.enable_memory(True)
        yield "memory-enable is set again", first
        self.move(self.mapped(), first)
        yield "a new mapping is moved to the old one's place", first
        self.enable_memory(False)
        yield "memory-enable is cleared, for a moved mapping", first
        self.enable_memory(True)
        yield "memory-enable is set again, for a moved mapping", first
        self.move(self.mapped(), first)
        ctypes.c_uint8.from_address(first).value = WRITTEN
        self._device.reset()
        self.enable_memory(True)
        yield "the device was reset", first
        self.enable_memory(False)
        early = self.mapped()
        self.enable_memory(True)
        yield "a mapping made while memory-enable was clear", early
        yield "a new mapping", self.mapped()


def _checked(address: int | None) -> int:
    if address is None or address == FAILED:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return address


def accessed(mapping: int) -> tuple[int | None, int | None]:
    """The first byte, or the signal that its reader has died of."""
    child = os.fork()
    if not child:
        os._exit(ctypes.c_uint8.from_address(mapping).value)
    _, status = os.waitpid(child, 0)
    return (None, os.WTERMSIG(status)) if os.WIFSIGNALED(status) else (os.WEXITSTATUS(status), None)


def main() -> None:
    work, *drivers = sys.argv[1:]
    with (Path(work) / OBSERVED_FILE).open("a", buffering=1) as observed:
        for driver in drivers:
            kind = gpu() if driver == NVGRACE else IVSHMEM
            with closing(Tried(VfioDevice(HostDevice(kind, driver).address), kind.memory_bar)) as tried:
                for what, mapping in tried.steps():
                    observed.write(json.dumps(asdict(Observed(driver, what, *accessed(mapping)))) + "\n")


if __name__ == "__main__":
    main()
