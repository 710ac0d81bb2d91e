# SPDX-License-Identifier: GPL-2.0-or-later
"""A check that goes wrong is told as such, and the table has every check."""

from __future__ import annotations

import json

import pytest

from machines.error import MachineError, NotAvailable
from packages import results
from packages.results import CHANGES, DEBIANS, DOMAINS, OURS, Checks, Result, require

pytestmark = pytest.mark.quick


def told(capsys: pytest.CaptureFixture[str]) -> list[Result]:
    """What a run would read."""
    return [Result(**json.loads(line)["result"]) for line in capsys.readouterr().out.splitlines()]


def fails() -> str:
    raise MachineError("no beat")


def isnt_there() -> str:
    raise NotAvailable("no SPICE here")


def test_what_is_not_as_required_is_wrong_and_the_next_check_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    checks = Checks()
    assert not checks.make(DOMAINS, "one", OURS, fails)
    assert checks.make(DOMAINS, "two", OURS, lambda: "3 beats")
    wrong, right = told(capsys)
    assert (wrong.said, wrong.is_wrong) == ("FAILED: no beat", True)
    assert (right.said, right.is_wrong) == ("3 beats", False)


def test_what_is_not_available_is_not_wrong_but_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert not Checks().make(DOMAINS, "one", OURS, isnt_there)
    (result,) = told(capsys)
    assert not result.is_wrong
    assert result.said == "not run: no SPICE here"


def test_require_says_what_was_found() -> None:
    require(True, "")
    with pytest.raises(MachineError, match="it is paused"):
        require(False, "it is paused")


def test_the_table_has_a_column_for_each_who_was_checked() -> None:
    found = [
        Result(DOMAINS, "disks", DEBIANS, "ok"),
        Result(DOMAINS, "disks", OURS, "ok, too"),
        Result(DOMAINS, "TPM", OURS, "a|b"),
        Result(CHANGES, "upgrade", OURS, "10 packages"),
    ]
    assert results.tables(found).splitlines() == [
        "| domains | Debian's | ours |",
        "|---|---|---|",
        "| disks | ok | ok, too |",
        "| TPM | - | a/b |",
        "",
        "| upgrades and moves | ours |",
        "|---|---|",
        "| upgrade | 10 packages |",
    ]
