# SPDX-License-Identifier: GPL-2.0-or-later
"""What is asked of each inner emulator: accesses to the BAR that a guest or an emulated device makes.

Each action reads the BAR's READ_AREA, which nobody changes, or writes its WRITE_AREA. Both areas' contents can be
computed, here and in the outer VM.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

KIB = 1024
BAR_SIZE = 1024 * KIB
READ_AREA, WRITE_AREA, AREA_SIZE = 0, 256 * KIB, 256 * KIB
RING_AREA = 512 * KIB
# An 8-byte store here says in the trace which action follows.
MARKER = BAR_SIZE - 8
NO_ACTION = 0

# Data that virtio-scsi maps twice: the second time its buffer is read again, a page at a time.
MAPPED_TWICE = (4, 17 * 512)

# How the BAR is accessed: by one load or store of a guest's, by a guest's longer access, by a device's DMA.
SINGLE, BULK, REQUEST = "guest access", "access of any length", "virtio-blk DMA"
MEANS = (SINGLE, BULK, REQUEST)
WIDTHS = (1, 2, 4, 8)
ALIGNMENTS = range(8)
LENGTHS = (*range(1, 65), 4 * KIB - 1, 4 * KIB, 4 * KIB + 1, 5003)
LONGEST = 64 * KIB + 3
# The data descriptors of requests, each at the same alignment; stock bounces no more than 4096 bytes.
SECTOR = 512
DESCRIPTORS = ((SECTOR,), (8 * SECTOR,), (1, 2, 4, 8, SECTOR - 15), (3, 5, 7, SECTOR - 15))
GAP = 64


@dataclass(frozen=True)
class Piece:
    """Bytes of the BAR that are accessed at one go."""

    offset: int
    length: int


@dataclass(frozen=True)
class Action:
    """One guest access, or one request with a data descriptor for each piece."""

    number: int
    means: str
    store: bool  # the BAR is written
    pieces: tuple[Piece, ...]

    @property
    def length(self) -> int:
        return sum(piece.length for piece in self.pieces)

    def data(self) -> bytes:
        """What it reads from the BAR, or writes there if it isn't a request, which writes what is on the disk."""
        if self.store:
            return random.Random(f"action {self.number}").randbytes(self.length)
        area = read_area()
        return b"".join(area[piece.offset : piece.offset + piece.length] for piece in self.pieces)


@cache
def read_area() -> bytes:
    """What READ_AREA holds."""
    return random.Random("read area").randbytes(AREA_SIZE)


@cache
def actions() -> tuple[Action, ...]:
    """All that is asked of an emulator, numbered from 1."""
    kinds: list[tuple[str, int, Sequence[int]]] = []
    kinds += [(SINGLE, alignment, [width]) for width in WIDTHS for alignment in ALIGNMENTS]
    kinds += [(BULK, alignment, [length]) for length in LENGTHS for alignment in ALIGNMENTS]
    kinds += [(BULK, alignment, [LONGEST]) for alignment in (0, 5)]
    kinds += [(REQUEST, alignment, lengths) for lengths in DESCRIPTORS for alignment in ALIGNMENTS]
    made: list[Action] = []
    for means, alignment, lengths in kinds:
        for store, area in ((False, READ_AREA), (True, WRITE_AREA)):
            made.append(Action(len(made) + 1, means, store, tuple(_pieces(area + alignment, lengths))))
    made.append(Action(len(made) + 1, BULK, False, (Piece(READ_AREA, 0),)))
    return tuple(made)


def _pieces(offset: int, lengths: Sequence[int]) -> Iterator[Piece]:
    """Pieces that have the alignment of the first one, and a gap between them."""
    for length in lengths:
        yield Piece(offset, length)
        offset += -(-length // GAP) * GAP + GAP


def ring_requests() -> range:
    """The numbers of the requests whose queue is in the BAR, which follow the actions'."""
    return range(len(actions()) + 1, len(actions()) + 4)


def scsi_request() -> Action:
    """A write of virtio-scsi's, with its data as often as it is mapped; it is too long for stock."""
    offset, length = MAPPED_TWICE
    return Action(ring_requests().stop, REQUEST, False, (Piece(READ_AREA + offset, length),) * 2)


def requests() -> list[Action]:
    return [action for action in actions() if action.means == REQUEST]
