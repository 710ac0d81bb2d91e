# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of each emulator, and what the BAR and the disks must hold afterwards.

The host makes the plan and fills two files, the BAR's memory and the disk; inside.py carries the plan out
in the outer VM; then the host compares the whole files. Every transfer of every emulator has a place of its
own in both, so that nothing a later one does can hide what an earlier one did.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

KIB = 1024
SIZES = (512, 1 * KIB, 4 * KIB, 8 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB)
DESCRIPTOR_COUNTS = (1, 16)
TO_BAR, TO_DISK = "disk to BAR", "BAR to disk"
DIRECTIONS = (TO_BAR, TO_DISK)
OK, WRONG, IO_ERROR, LOST_DEVICE, LOST_EMULATOR = "ok", "wrong contents", "I/O error", "device lost", "emulator lost"

BAR_FILE, DISK_FILE, PLAN_FILE = "bar.bin", "disk.img", "plan.json"
FILE_SIZE = 32 * 1024 * KIB
PAGE = 4 * KIB
IVSHMEM = (0x1AF4, 0x1110)


@dataclass(frozen=True)
class Memory:
    """What is behind a BAR of an assigned device.

    The device by its IDs, the kernel's driver for it, the BAR's number, and from where on its memory is in which file.
    """

    device: tuple[int, int] = IVSHMEM
    driver: str = "vfio-pci"
    bar: int = 2
    file: str = BAR_FILE
    offset: int = 0


@dataclass(frozen=True)
class Transfer:
    """One virtio-blk request between the disk and the BAR."""

    direction: str
    size: int
    descriptors: int
    bar_offset: int
    disk_offset: int

    def pieces(self) -> list[int]:
        """The size of each data descriptor; several are of unequal, odd sizes, hence at odd addresses."""
        if self.descriptors == 1:
            return [self.size]
        even = self.size // self.descriptors
        return [even + (3 if i % 2 else -3) for i in range(self.descriptors)]


QTEST = ("-accel", "qtest")


@dataclass(frozen=True)
class Compared:
    """An emulator, how its vfio-pci is to be set, what sizes it is asked for, and whether it is for interrupted.py.

    `drive` are further options of its disk, and `accelerator` arguments that keep its CPU from running.
    """

    name: str
    emulator: Path
    properties: str = ""
    sizes: tuple[int, ...] = SIZES
    is_interrupted: bool = False
    memory: Memory = Memory()
    drive: str = ""
    accelerator: tuple[str, ...] = QTEST
    descriptor_counts: tuple[int, ...] = DESCRIPTOR_COUNTS


@dataclass(frozen=True)
class Variant:
    """An emulator, how its vfio-pci is to be set, and what it is asked to do."""

    name: str
    emulator: str
    properties: str
    transfers: tuple[Transfer, ...]
    is_interrupted: bool
    memory: Memory
    drive: str
    accelerator: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one transfer, as seen in the outer VM; the sha256 is that of the BAR's side afterwards."""

    variant: str
    transfer: Transfer
    verdict: str
    message: str
    sha256: str


def first_contents(name: str) -> bytes:
    """What the disk, or the memory of a BAR, holds at first."""
    return random.Random(name).randbytes(FILE_SIZE)


def plan(emulators: Sequence[Compared]) -> list[Variant]:
    """Every transfer, for each emulator."""
    variants, bar_offset, disk_offset = [], 0, 0
    for asked in emulators:
        transfers = []
        for size in asked.sizes:
            for direction in DIRECTIONS:
                for descriptors in asked.descriptor_counts:
                    transfers.append(Transfer(direction, size, descriptors, bar_offset, disk_offset))
                    disk_offset += size
                    bar_offset += -(-size // PAGE) * PAGE
        variant = Variant(
            asked.name, str(asked.emulator), asked.properties, tuple(transfers), asked.is_interrupted,
            asked.memory, asked.drive, asked.accelerator,
        )  # fmt: skip
        variants.append(variant)
    assert max(bar_offset, disk_offset) <= FILE_SIZE
    return variants


def prepare(work: Path, variants: Sequence[Variant]) -> None:
    """Write the BARs' memory, the disk and the plan into the work folder."""
    (work / DISK_FILE).write_bytes(first_contents(DISK_FILE))
    for memory in _memories(variants):
        with os.fdopen(os.open(work / memory.file, os.O_WRONLY | os.O_CREAT, 0o644), "wb") as file:
            file.seek(memory.offset)
            file.write(first_contents(str(memory)))
    (work / PLAN_FILE).write_text(json.dumps([asdict(variant) for variant in variants]))


def planned(work: Path) -> list[Variant]:
    """The plan that prepare() wrote."""
    return [
        Variant(
            **{
                **variant,
                "transfers": tuple(Transfer(**transfer) for transfer in variant["transfers"]),
                "memory": Memory(**{**variant["memory"], "device": tuple(variant["memory"]["device"])}),
                "accelerator": tuple(variant["accelerator"]),
            }
        )
        for variant in json.loads((work / PLAN_FILE).read_text())
    ]


def differences(work: Path, variants: Sequence[Variant], outcomes: Sequence[Outcome]) -> list[str]:
    """Where the files aren't what the outcomes say: all that succeeded is there, and nothing else has changed."""
    found = []
    memory_of = {variant.name: variant.memory for variant in variants}
    disk, memories = first_contents(DISK_FILE), {memory: first_contents(str(memory)) for memory in _memories(variants)}
    disk_expected, expected = bytearray(disk), {memory: bytearray(data) for memory, data in memories.items()}
    for outcome in outcomes:
        if outcome.verdict != OK:
            continue
        transfer, memory = outcome.transfer, memory_of[outcome.variant]
        in_bar = slice(transfer.bar_offset, transfer.bar_offset + transfer.size)
        on_disk = slice(transfer.disk_offset, transfer.disk_offset + transfer.size)
        if transfer.direction == TO_BAR:
            expected[memory][in_bar] = disk[on_disk]
        else:
            disk_expected[on_disk] = memories[memory][in_bar]
        if hashlib.sha256(expected[memory][in_bar]).hexdigest() != outcome.sha256:
            found.append(f"{outcome.variant}: what it read back from {in_bar.start:#x} in the BAR has another sha256")
    compared = [(DISK_FILE, 0, disk_expected)]
    compared += [(memory.file, memory.offset, expected[memory]) for memory in expected]
    for name, offset, data in compared:
        with (work / name).open("rb") as file:
            file.seek(offset)
            now = file.read(len(data))
        if now != data:
            at = next((i for i, both in enumerate(zip(now, data, strict=False)) if both[0] != both[1]), len(now))
            found.append(f"{name}: first differs from what the requests should have left at {offset + at:#x}")
    return found


def _memories(variants: Sequence[Variant]) -> list[Memory]:
    return list(dict.fromkeys(variant.memory for variant in variants))
