# SPDX-License-Identifier: GPL-2.0-or-later
"""The stores by which one word gets to RAM, with ram_move_word() and with libc's memmove(); as a table, too."""

from __future__ import annotations

from audit.cases import WIDTHS, Routine, words
from audit.programs import Program
from audit.traces import Instrument

ROUTINES = {"ram_move_word()": Routine.MOVE_WORD_TO, "memmove()": Routine.MEMMOVE_TO}

# Offset from where the word begins, and width.
Store = tuple[int, int]
# For each width of a word all sequences of stores that were seen, over all alignments of both sides.
Stores = dict[int, set[tuple[Store, ...]]]


def word_stores(program: Program, instrument: Instrument, routine: Routine) -> Stores:
    """What a routine stores to its destination."""
    made = words(routine)
    found: Stores = {width: set() for width in WIDTHS}
    for case, trace in zip(made, instrument.traces(program, made), strict=True):
        found[case.length].add(tuple((offset - case.device, width) for offset, width, direction, _ in trace
                                     if direction == "S"))
    return found


def is_one(stores: Stores, width: int) -> bool:
    """Is a word of this width always one store?"""
    return stores[width] == {((0, width),)}


def shown(stores: Stores, width: int) -> str:
    """The stores for people: WIDTH@OFFSET."""
    sequences = (" ".join(f"{wide}@{offset}" for offset, wide in sequence) for sequence in stores[width])
    return " or ".join(sorted(sequences))


def table(columns: dict[str, Stores]) -> str:
    """In Markdown, a line for each width."""
    lines = [f"| bytes | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {width} | {' | '.join(shown(stores, width) for stores in columns.values())} |" for width in WIDTHS]
    return "\n".join(lines)
