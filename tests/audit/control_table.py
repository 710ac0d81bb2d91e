# SPDX-License-Identifier: GPL-2.0-or-later
"""What other copies do, as a table: for each class of lengths how many transfers violate the contract, and how."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from audit.cases import Case
from audit.traces import Access
from audit.violations import Findings, violations

# The longest length of each class.
LENGTHS = {"1": 1, "2, 4, 8": 8, "3, 5, 6, 7": 8, "9 to 15": 15, "16 to 32": 32, "33 to 64": 64, "65 to 128": 128,
           "129 to 257": 257, "511 to 4097": 4097, "65539": 65539}  # fmt: skip
SHOWN = ("duplicated", "wide", "unaligned", "order", "cut", "missing", "outside", "direction")


def by_length(cases: Iterable[Case], traces: Iterable[Sequence[Access]], architecture: str) -> dict[str, Findings]:
    """The findings for each class of lengths."""
    found = {name: Findings() for name in LENGTHS}
    for case, trace in zip(cases, traces, strict=True):
        if case.length:
            found[length_class(case.length)].add(case, trace, violations(case, trace, architecture, None))
    return found


def length_class(length: int) -> str:
    """The class that a length belongs to."""
    if length in (2, 4, 8):
        return "2, 4, 8"
    return next(name for name, longest in LENGTHS.items() if length <= longest and name != "2, 4, 8")


def table(found: dict[str, Findings]) -> str:
    """The findings for people, in Markdown: per cent of the transfers, and a point where there is none."""
    columns = [name for name in SHOWN if any(findings.by_class[name] for findings in found.values())]
    lines = [f"| bytes | transfers | in violation | {' | '.join(columns)} |", "|---" * (len(columns) + 3) + "|"]
    for name, findings in found.items():
        cells = [findings.violating, *(findings.by_class[column] for column in columns)]
        shares = [share(count, findings.traces) for count in cells]
        lines.append(f"| {name} | {findings.traces} | {' | '.join(shares)} |")
    return "\n".join(lines)


def share(part: int, whole: int) -> str:
    """Per cent, rounded so that a few aren't none and some aren't all."""
    if part in (0, whole):
        return "100 %" if part else "·"
    return f"{min(max(round(100 * part / whole), 1), 99)} %"
