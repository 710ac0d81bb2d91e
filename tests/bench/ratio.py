# SPDX-License-Identifier: GPL-2.0-or-later
"""What is compared, and the table of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tables.columns import padded

KIB = 1024
HEADINGS = ("", "other ns", "ours ns", "min", "median", "max")


@dataclass(frozen=True)
class Comparison:
    """The times of two things that did the same, in nanoseconds, round by round: each round's two belong together."""

    what: str
    other: Sequence[float]
    ours: Sequence[float]

    def ratios(self) -> list[float]:
        """How many times faster ours was, in each round."""
        return [other / ours for other, ours in zip(self.other, self.ours, strict=True)]

    def row(self) -> tuple[str, ...]:
        """Its line in the table."""
        ratios = self.ratios()
        return (
            self.what,
            f"{median(self.other):.1f}",
            f"{median(self.ours):.1f}",
            *(f"{ratio:.2f}" for ratio in (min(ratios), median(ratios), max(ratios))),
        )


def size(count: int) -> str:
    """A number of bytes, for people."""
    for unit, name in ((KIB * KIB, "MiB"), (KIB, "KiB")):
        if count >= unit and count % unit == 0:
            return f"{count // unit} {name}"
    return f"{count} B"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines of columns; numbers end where their column does."""
    return [f"  {'  '.join(row)}".rstrip() for row in padded(rows, numbers=True)]


def table(sections: Sequence[tuple[str, Sequence[Comparison]]]) -> str:
    """All comparisons under the headings of their sections, in columns."""
    headings, *rows = aligned([HEADINGS, *(compared.row() for _, comparisons in sections for compared in comparisons)])
    lines = [headings]
    for heading, comparisons in sections:
        lines += ["", heading, *rows[: len(comparisons)]]
        rows = rows[len(comparisons) :]
    return "\n".join(lines)
