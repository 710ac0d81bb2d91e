# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the data of a request lies in the board's memory.

    register-like BAR | RAM | memory-like BAR        each of SIZE bytes
"""

from __future__ import annotations

from dimensions import (
    KIB,
    LIST,
    LIST_ODD,
    MEMORY,
    MEMORY_ODD,
    MIB,
    RAM_TO_MEMORY,
    REGISTER,
    REGISTER_TO_RAM,
)

SIZE = 2 * MIB
REGISTER_BEGIN, RAM_BEGIN, MEMORY_BEGIN, END = 0, SIZE, 2 * SIZE, 3 * SIZE
PARTS = ("register-like BAR", "RAM", "memory-like BAR")
# Sizes in the list of odd addresses.
ODD_REGISTER, ODD_RAM, ODD_MORE_REGISTER = 1021, 2047, 515


def pieces(place: str, size: int, shift: int) -> list[tuple[int, int]]:
    """Begin and size of each piece. All are moved by `shift`, but those that lie across a border."""
    register, ram, memory = (begin + shift for begin in (REGISTER_BEGIN, RAM_BEGIN, MEMORY_BEGIN))
    rest = size // 2 - 1 - ODD_REGISTER - ODD_RAM - ODD_MORE_REGISTER
    return {
        MEMORY: [(memory, size)],
        MEMORY_ODD: [(memory + 3, size)],
        REGISTER: [(register, size)],
        RAM_TO_MEMORY: [(MEMORY_BEGIN - size // 2, size)],
        REGISTER_TO_RAM: [(RAM_BEGIN - size // 2, size)],
        LIST: [
            (memory, size // 8),
            (ram, size // 4),
            (memory + size // 4, size // 2),
            (ram + size // 2, size // 8),
        ],
        LIST_ODD: [
            (register + 5, ODD_REGISTER),
            (memory + 3, size // 2 + 1),
            (ram + 1, ODD_RAM),
            (register + 2 * KIB + 7, ODD_MORE_REGISTER),
            (memory + size, rest),
        ],
    }[place]


def bytes_in_bars(place: str, size: int) -> tuple[int, int]:
    """How much of the data lies in the register-like, and how much in the memory-like BAR."""
    register = memory = 0
    for begin, length in pieces(place, size, 0):
        register += max(min(begin + length, RAM_BEGIN) - begin, 0)
        memory += max(begin + length - max(begin, MEMORY_BEGIN), 0)
    return register, memory
