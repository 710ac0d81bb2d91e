# SPDX-License-Identifier: GPL-2.0-or-later
"""The matrix as text: how many combinations did what, emulators side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from matrix.dimensions import OK, VERDICTS, Case
from matrix.jobs import Outcome
from tables.columns import aligned

Key = Callable[[Case], tuple[str, ...]]


def summary(outcomes: Iterable[Outcome]) -> str:
    """A line for each emulator: how many combinations, and how many of them ended in which way."""
    by_variant: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        by_variant.setdefault(outcome.variant, Counter())[outcome.verdict] += 1
    rows = [["emulator", "combinations", *VERDICTS]]
    for variant, verdicts in by_variant.items():
        rows.append([variant, str(verdicts.total()), *(str(verdicts[verdict] or "-") for verdict in VERDICTS)])
    return aligned(rows)


def by_disk(case: Case) -> tuple[str, ...]:
    """The rows of the table of storage: device, cache mode and engine."""
    return (case.device, case.disk.cache, case.disk.aio) if case.disk else (case.device, "-", "-")


def by_place(case: Case) -> tuple[str, ...]:
    """The rows of the table of places."""
    return (case.device, case.place)


def table(outcomes: Iterable[Outcome], heads: Sequence[str], key: Key) -> str:
    """A row for each key, a column for each emulator: how many of the combinations are ok, and what the others are."""
    cells: dict[tuple[str, ...], dict[str, Counter[str]]] = {}
    variants: list[str] = []
    for outcome in outcomes:
        if outcome.variant not in variants:
            variants.append(outcome.variant)
        row = cells.setdefault(key(outcome.case), {})
        row.setdefault(outcome.variant, Counter())[outcome.verdict] += 1
    rows = [[*heads, *variants]]
    rows += [[*names, *(_cell(row.get(variant)) for variant in variants)] for names, row in sorted(cells.items())]
    return aligned(rows)


def _cell(verdicts: Counter[str] | None) -> str:
    if verdicts is None:
        return "-"
    failed = [f"{count} {verdict}" for verdict, count in verdicts.most_common() if verdict != OK]
    return ", ".join([f"{verdicts[OK]}/{verdicts.total()} ok", *failed])
