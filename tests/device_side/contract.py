# SPDX-License-Identifier: GPL-2.0-or-later
"""Which accesses the contract asks for, and which ones stock QEMU makes."""

from __future__ import annotations

from contract_model.pieces import WIDTHS, pieces
from device_side.outer_trace import Access


def contract(offset: int, length: int, store: bool) -> list[Access]:
    """What C1, C2 and C3 make of one transfer on x86-64, where a misaligned access is allowed."""
    return [Access(offset + at, width, store) for at, width in pieces(offset % 8, length, True)]


def stock_dispatch(offset: int, length: int, store: bool) -> list[Access]:
    """What stock's dispatch makes of it: the widest piece that fits, wherever it begins."""
    made = []
    while length > 0:
        width = max(width for width in WIDTHS if width <= length)
        made.append(Access(offset, width, store))
        offset, length = offset + width, length - width
    return made
