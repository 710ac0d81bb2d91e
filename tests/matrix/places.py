# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the data of a request lies in the board's memory.

    lower BAR | RAM | upper BAR        each of SIZE bytes
"""

from __future__ import annotations

from matrix.dimensions import (
    KIB,
    LIST,
    LIST_ODD,
    LOWER,
    LOWER_ODD,
    LOWER_TO_RAM,
    MIB,
    RAM_TO_UPPER,
    UPPER,
    UPPER_ODD,
)

SIZE = 2 * MIB
LOWER_BEGIN, RAM_BEGIN, UPPER_BEGIN, END = 0, SIZE, 2 * SIZE, 3 * SIZE
PARTS = (LOWER, "RAM", UPPER)
# Sizes in the list of odd addresses.
ODD_LOWER, ODD_RAM, ODD_MORE_LOWER = 1021, 2047, 515


def pieces(place: str, size: int, shift: int) -> list[tuple[int, int]]:
    """Begin and size of each piece. All are moved by `shift`, but those that lie across a border."""
    lower, ram, upper = (begin + shift for begin in (LOWER_BEGIN, RAM_BEGIN, UPPER_BEGIN))
    rest = size // 2 - 1 - ODD_LOWER - ODD_RAM - ODD_MORE_LOWER
    return {
        LOWER: [(lower, size)],
        UPPER: [(upper, size)],
        LOWER_ODD: [(lower + 5, size)],
        UPPER_ODD: [(upper + 3, size)],
        LOWER_TO_RAM: [(RAM_BEGIN - size // 2, size)],
        RAM_TO_UPPER: [(UPPER_BEGIN - size // 2, size)],
        LIST: [
            (upper, size // 8),
            (ram, size // 4),
            (upper + size // 4, size // 2),
            (ram + size // 2, size // 8),
        ],
        LIST_ODD: [
            (lower + 5, ODD_LOWER),
            (upper + 3, size // 2 + 1),
            (ram + 1, ODD_RAM),
            (lower + 2 * KIB + 7, ODD_MORE_LOWER),
            (upper + size, rest),
        ],
    }[place]


def bytes_in_bars(place: str, size: int) -> int:
    """How much of the data isn't in RAM."""
    in_ram = sum(
        max(min(begin + length, UPPER_BEGIN) - max(begin, RAM_BEGIN), 0) for begin, length in pieces(place, size, 0)
    )
    return size - in_ram
