# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables count every outcome, and show emulators side by side."""

from __future__ import annotations

import pytest

from matrix import table
from matrix.dimensions import BLK, IO_ERROR, OK, READ, UPPER, WRITE, Case, Disk
from matrix.jobs import Outcome

pytestmark = pytest.mark.quick

DISK = Disk("file", "raw", "none", "native")


def outcome(variant: str, operation: str, verdict: str) -> Outcome:
    return Outcome(variant, Case(BLK, operation, UPPER, 512, DISK), verdict, "")


OUTCOMES = [
    outcome("one", READ, OK),
    outcome("one", WRITE, OK),
    outcome("other", READ, OK),
    outcome("other", WRITE, IO_ERROR),
]


def test_the_summary_counts_each_verdict_of_each_emulator() -> None:
    head, one, other = table.summary(OUTCOMES).splitlines()
    assert head.split()[:3] == ["emulator", "combinations", "ok"]
    assert one.split() == ["one", "2", "2", *"------"]
    assert other.split() == ["other", "2", "1", "-", "1", *"----"]


def test_a_row_has_a_cell_for_each_emulator_that_says_how_many_are_ok_and_what_the_others_are() -> None:
    head, row = table.table(OUTCOMES, ("device", "cache", "aio"), table.by_disk).splitlines()
    assert head.split() == ["device", "cache", "aio", "one", "other"]
    assert row.split("  ")[-1].strip() == "1/2 ok, 1 I/O error"
    assert "2/2 ok" in row


def test_an_emulator_that_was_not_asked_has_an_empty_cell() -> None:
    alone = [*OUTCOMES[:2], Outcome("other", Case("nvme", READ, UPPER, 512, DISK), OK, "")]
    rows = table.table(alone, ("device", "data in"), table.by_place).splitlines()
    assert [row.split()[-1] for row in rows[1:]] == ["ok", "-"]
