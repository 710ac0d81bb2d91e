# SPDX-License-Identifier: GPL-2.0-or-later
"""How a trace differs from what the contract expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from audit.cases import QUESTIONS, WRITES, Case, Routine
from audit.contract import expected
from audit.traces import Access

CLASSES = {
    "duplicated": "a byte is accessed twice",
    "missing": "a byte is not accessed",
    "outside": "a byte beside the transfer is accessed",
    "wide": "an access is wider than 8 bytes: a vector, or a pair of registers",
    "unaligned": "an access is not naturally aligned",
    "order": "the accesses are not in ascending order",
    "direction": "the device is read in order to be written, or the other way round",
    "cut": "each byte once, aligned, in order and in no access that is too wide, but not in the planned pieces",
    "instruction": "an instruction that isn't in the table ram_device_faults",
}


def violations(case: Case, trace: Sequence[Access], architecture: str, table: Collection[int] | None) -> set[str]:
    """Of which classes the case's violations are; none if the trace is the expected one.  Without a table the
    instructions may be any."""
    if table is not None and case.routine in (Routine.READ_WITHIN, Routine.WRITE_WITHIN):
        # The RAM side's accesses are in the window as well; the device side's are those of the table.
        ram_side = range(case.ram, case.ram + case.length)
        if any(not ram_side.start <= offset <= offset + width <= ram_side.stop
               for offset, width, _, pc in trace if pc not in table):  # fmt: skip
            return {"outside"}
        trace = [access for access in trace if access[3] in table]
    found = set() if table is None or all(pc in table for _, _, _, pc in trace) else {"instruction"}
    if [access[:3] for access in trace] != expected(case, architecture):
        found |= classified(case, trace)
    return found


def classified(case: Case, trace: Sequence[Access]) -> set[str]:
    """What is wrong with a trace that isn't the expected one."""
    touched = Counter(byte for offset, width, _, _ in trace for byte in range(offset, offset + width))
    transfer = range(case.device, case.device + case.length if case.is_granted else case.device)
    offsets = [offset for offset, _, _, _ in trace]
    direction = "S" if case.routine in WRITES else "L"
    found = {
        "duplicated": any(count > 1 for count in touched.values()),
        "missing": any(byte not in touched for byte in transfer),
        "outside": any(byte not in transfer for byte in touched),
        "wide": any(width > 8 for _, width, _, _ in trace),
        "unaligned": any(offset % width for offset, width, _, _ in trace),
        "order": offsets != sorted(offsets),
        "direction": any(access[2] != direction for access in trace),
    }
    return {name for name, is_so in found.items() if is_so} or {"cut"}


class Findings:
    """Counts of traces, of the accesses in them, and of their violations."""

    def __init__(self) -> None:
        self.traces = 0
        self.accesses = 0
        self.violating = 0
        self.by_class: Counter[str] = Counter()
        self.first: str | None = None

    def add(self, case: Case, trace: Sequence[Access], found: Collection[str]) -> None:
        """Count one case."""
        self.traces += 1
        self.accesses += len(trace)
        self.violating += bool(found)
        self.by_class.update(found)
        if found and self.first is None:
            self.first = f"{case}: {', '.join(sorted(found))}; the trace begins {list(trace[:24])}"

    @property
    def report(self) -> str:
        """For an assertion that fails."""
        return f"{self.violating} of {self.traces} violate: {dict(self.by_class)}\nthe first is {self.first}"


def findings(cases: Iterable[Case], traces: Iterable[Sequence[Access]], architecture: str,
             table: Collection[int] | None) -> dict[str, Findings]:
    """The traces held against the contract, by the group of their cases."""
    found: dict[str, Findings] = {}
    for case, trace in zip(cases, traces, strict=True):
        wrong = violations(case, trace, architecture, table)
        found.setdefault(group(case), Findings()).add(case, trace, wrong)
    return found


def group(case: Case) -> str:
    """What the case is an example of."""
    if case.routine in QUESTIONS:
        return "questions"
    if not case.is_granted:
        return "refusals"
    if case.routine in (Routine.READ_WITHIN, Routine.WRITE_WITHIN):
        return "overlaps"
    if case.length in (1, 2, 4, 8):
        return "misaligned" if case.device % case.length else "aligned"
    return "pieces"
