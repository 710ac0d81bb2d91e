# SPDX-License-Identifier: GPL-2.0-or-later
"""The run as two tables: examples of what the device saw, and how many accesses were as the contract says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from device_side.accesses import BULK, MEANS, REQUEST, SINGLE, Action, actions
from device_side.contract import contract, stock_dispatch
from device_side.outer_trace import Access
from device_side.planned import STOCK
from device_side.report import Report
from tables.columns import padded

# How the BAR is accessed, from which alignment on, and how many bytes of it.
EXAMPLES = (
    (SINGLE, 0, 2), (SINGLE, 0, 8), (SINGLE, 1, 2), (SINGLE, 2, 4), (SINGLE, 4, 8),
    (BULK, 0, 3), (BULK, 1, 3), (BULK, 0, 5), (BULK, 3, 5), (BULK, 0, 12), (BULK, 1, 12), (BULK, 4, 12),
    (BULK, 3, 64), (BULK, 0, 4096), (BULK, 3, 4096),
    (REQUEST, 0, 512), (REQUEST, 3, 512), (REQUEST, 3, 4096),
)  # fmt: skip

LONGEST = 6


def examples(report: Report) -> str:
    """Examples down, emulators across.

    Misaligned instructions come before a colon: how they arrive at the device is the outer CPU's doing.
    """
    rows = [["access", *report.observed]]
    for means, alignment, length in EXAMPLES:
        for action in _actions(means, alignment, length):
            verb = "write" if action.store else "read"
            asked = f"{means}: {verb} {length} at {alignment}"
            rows.append([asked, *(_cell(report, name, action) for name in report.observed)])
    return _markdown(rows)


def counts(report: Report) -> str:
    """How many accesses of each kind were as the contract says."""
    rows = [["access", *report.observed]]
    for means in MEANS:
        cells = []
        for name in report.observed:
            asked = [action for action in actions() if action.means == means]
            kept = sum(not report.complaint(name, action, contract) for action in asked)
            cells.append(f"{kept} of {len(asked)}")
        rows.append([means, *cells])
    return _markdown(rows)


def _actions(means: str, alignment: int, length: int) -> Iterator[Action]:
    """The read and the write."""
    for action in actions():
        first = action.pieces[0]
        if (action.means, first.length, first.offset % 8, len(action.pieces)) == (means, length, alignment, 1):
            yield action


def _cell(report: Report, name: str, action: Action) -> str:
    """What was seen; before it, if they were misaligned, the instructions that explain it."""
    (piece,) = action.pieces
    begin, seen = piece.offset - piece.offset % 8, report.observed[name].accesses(action)
    model = stock_dispatch if name == STOCK else contract
    made = model(piece.offset, piece.length, action.store)
    explained = made != seen == report.expected(action, model)
    return f"{_in_words(made, begin)}: " * explained + _in_words(seen, begin)


def _in_words(accesses: Sequence[Access], begin: int) -> str:
    """WIDTH@OFFSET of each access; accesses of one width side by side as COUNT x WIDTH@OFFSET."""
    runs: list[tuple[Access, int]] = []
    for access in accesses:
        if runs:
            first, count = runs[-1]
            if access == first._replace(offset=first.offset + count * first.width):
                runs[-1] = first, count + 1
                continue
        runs.append((access, 1))
    words = [f"{count} x " * (count > 1) + f"{first.width}@{first.offset - begin}" for first, count in runs]
    if len(words) > LONGEST:
        words[2:-1] = [f"... {len(words) - 3} more ..."]
    return ", ".join(words) or "nothing"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in padded(rows)]
    lines.insert(1, re.sub(r"[^|]", "-", lines[0]))
    return "\n".join(lines)
