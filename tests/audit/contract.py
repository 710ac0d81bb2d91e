# SPDX-License-Identifier: GPL-2.0-or-later
"""Which accesses of each case the device side must see, by the contract of docs/devel/ram-device.rst."""

from __future__ import annotations

from audit.cases import MOVES, QUESTIONS, WRITES, Case, Routine
from contract_model.pieces import pieces

# Architectures on which a misaligned access to device memory is allowed (C1).
MISALIGNED_IS_ALLOWED = {"x86_64": True, "aarch64": False}

Piece = tuple[int, int, str]  # offset from the start of the device window, width, L or S


def expected(case: Case, architecture: str) -> list[Piece]:
    """The accesses of a case, in their order."""
    if case.routine in QUESTIONS or not case.is_granted:
        return []
    # RAM bears misaligned accesses everywhere.
    may = case.routine in MOVES or MISALIGNED_IS_ALLOWED[architecture]
    direction = "S" if case.routine in WRITES else "L"
    found = [(case.device + at, width, direction) for at, width in pieces(case.device % 8, case.length, may)]
    return found[::-1] if destination_starts_in_source(case) else found


def destination_starts_in_source(case: Case) -> bool:
    """The one case in which the order is descending (C5)."""
    if case.routine == Routine.READ_WITHIN:
        return case.device < case.ram < case.device + case.length
    if case.routine == Routine.WRITE_WITHIN:
        return case.ram < case.device < case.ram + case.length
    return False
