# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of cells, so that columns are below each other. By hand: some of who print tables run without the venv."""

from __future__ import annotations

from collections.abc import Sequence


def padded(rows: Sequence[Sequence[str]], *, numbers: bool = False) -> list[list[str]]:
    """Each cell as wide as its column; with numbers, all columns but the first end below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        [
            cell.rjust(width) if numbers and index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """The rows as lines."""
    return "\n".join("  ".join(row).rstrip() for row in padded(rows))
