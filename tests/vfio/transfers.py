# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of each emulator, and what the BAR and the disks must hold afterwards.

The host makes the plan and fills two files, the BAR's memory and the disk; inside.py carries the plan out
in the outer VM; then the host compares the whole files. Every transfer of every emulator has a place of its
own in both, so that nothing a later one does can hide what an earlier one did.
"""

from __future__ import annotations

import hashlib
import json
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


@dataclass(frozen=True)
class Compared:
    """An emulator, how its vfio-pci is to be set, what sizes it is asked for, and whether it is for interrupted.py."""

    name: str
    emulator: Path
    properties: str = ""
    sizes: tuple[int, ...] = SIZES
    is_interrupted: bool = False


@dataclass(frozen=True)
class Variant:
    """An emulator, how its vfio-pci is to be set, and what it is asked to do."""

    name: str
    emulator: str
    properties: str
    transfers: tuple[Transfer, ...]
    is_interrupted: bool


@dataclass(frozen=True)
class Outcome:
    """What became of one transfer, as seen in the outer VM; the sha256 is that of the BAR's side afterwards."""

    variant: str
    transfer: Transfer
    verdict: str
    message: str
    sha256: str


def first_contents(name: str) -> bytes:
    """What the file of this name, the BAR's or the disk's, holds at first."""
    return random.Random(name).randbytes(FILE_SIZE)


def plan(emulators: Sequence[Compared]) -> list[Variant]:
    """Every transfer, for each emulator."""
    variants, bar_offset, disk_offset = [], 0, 0
    for asked in emulators:
        transfers = []
        for size in asked.sizes:
            for direction in DIRECTIONS:
                for descriptors in DESCRIPTOR_COUNTS:
                    transfers.append(Transfer(direction, size, descriptors, bar_offset, disk_offset))
                    disk_offset += size
                    bar_offset += -(-size // PAGE) * PAGE
        variants.append(
            Variant(asked.name, str(asked.emulator), asked.properties, tuple(transfers), asked.is_interrupted)
        )
    return variants


def prepare(work: Path, variants: Sequence[Variant]) -> None:
    """Write the BAR's memory, the disk and the plan into the work folder."""
    for name in (BAR_FILE, DISK_FILE):
        (work / name).write_bytes(first_contents(name))
    (work / PLAN_FILE).write_text(json.dumps([asdict(variant) for variant in variants]))


def planned(work: Path) -> list[Variant]:
    """The plan that prepare() wrote."""
    return [
        Variant(**{**variant, "transfers": tuple(Transfer(**transfer) for transfer in variant["transfers"])})
        for variant in json.loads((work / PLAN_FILE).read_text())
    ]


def differences(work: Path, outcomes: Sequence[Outcome]) -> list[str]:
    """Where the files aren't what the outcomes say: all that succeeded is there, and nothing else has changed."""
    found = []
    first = {name: first_contents(name) for name in (BAR_FILE, DISK_FILE)}
    expected = {name: bytearray(data) for name, data in first.items()}
    for outcome in outcomes:
        if outcome.verdict != OK:
            continue
        transfer = outcome.transfer
        in_bar = slice(transfer.bar_offset, transfer.bar_offset + transfer.size)
        on_disk = slice(transfer.disk_offset, transfer.disk_offset + transfer.size)
        if transfer.direction == TO_BAR:
            expected[BAR_FILE][in_bar] = first[DISK_FILE][on_disk]
        else:
            expected[DISK_FILE][on_disk] = first[BAR_FILE][in_bar]
        if hashlib.sha256(expected[BAR_FILE][in_bar]).hexdigest() != outcome.sha256:
            found.append(f"{outcome.variant}: what it read back from {in_bar.start:#x} in the BAR has another sha256")
    for name, data in expected.items():
        now = (work / name).read_bytes()
        if now != data:
            at = next((i for i, both in enumerate(zip(now, data, strict=False)) if both[0] != both[1]), len(now))
            found.append(f"{name}: first differs from what the requests should have left at offset {at:#x}")
    return found
