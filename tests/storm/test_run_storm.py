# SPDX-License-Identifier: GPL-2.0-or-later
"""An outer VM that stalls is replaced, once, and told; one that fails isn't. The VMs are played."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest

from machines import outer_vm
from machines.error import MachineError
from storm import run_storm
from storm.scenarios import BLK, BULK, NET, OUTSIDE, PATCHED, Result, Storm

STORMS = [Storm(PATCHED, "emulator", traffic, OUTSIDE, 1) for traffic in (BLK, NET, BULK)]
VM = outer_vm.OuterVm(outer_vm.USUAL, outer_vm.Kernel(Path("image"), Path("modules")))
# A VM that does all storms, and stalls all the same: more than there are.
STALLS_AT_THE_END = len(STORMS) + 1
Played = Callable[..., list[Result]]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Played:
    """The storms, where each VM in turn carries out so many, and then stalls."""

    def run(*done_by_each: int) -> list[Result]:
        vms: Iterator[int] = iter(done_by_each)

        def vm(_: object, storms: Sequence[Storm], *given: object) -> None:
            *_, take = given
            assert callable(take)
            for storm in storms[: (done := next(vms))]:
                take(json.dumps(asdict(Result(storm, 1, 1, 0, 0, 0, (), None, True, (1, 1), 1.0, ""))))
            if done < len(storms) or done == STALLS_AT_THE_END:
                raise outer_vm.Stalled("it has shown nothing")

        monkeypatch.setattr(run_storm, "_run_in_vm", vm)
        return run_storm.run(STORMS, tmp_path, lambda _: None, VM)

    return run


def storms(results: Sequence[Result]) -> list[Storm]:
    return [result.storm for result in results]


def test_no_vm_that_stalled_is_told_as_well(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    assert storms(played(3)) == STORMS
    assert capsys.readouterr().out == "0 outer VMs stalled, of 1 that may\n"


def test_one_that_stalled_is_replaced_and_told(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    assert storms(played(1, 2)) == STORMS
    told, storm, why = capsys.readouterr().out.splitlines()
    assert told == "1 outer VMs stalled, of 1 that may"
    assert storm == f"an outer VM stalled in: {STORMS[1].sentence()}" and why == "it has shown nothing"


def test_one_that_stalled_when_all_was_done_is_told(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    assert storms(played(STALLS_AT_THE_END)) == STORMS
    assert "stalled in: nothing, all was done" in capsys.readouterr().out


@pytest.mark.parametrize(("done_by_each", "where"), [((0, 0), (0, 0)), ((1, 1, 1), (1, 2)), ((2, 0), (2, 2))])
def test_the_second_that_stalls_fails_and_both_are_told(
    played: Played, done_by_each: Sequence[int], where: Sequence[int]
) -> None:
    """However much was done meanwhile."""
    with pytest.raises(MachineError) as failure:
        played(*done_by_each)
    said = [line for line in str(failure.value).splitlines() if line.startswith("an outer VM")]
    assert said == [f"an outer VM stalled in: {STORMS[place].sentence()}" for place in where]


def test_one_that_fails_is_not_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An emulator that doesn't start, for instance."""

    def vm(*_: object) -> None:
        raise MachineError("exit status of the outer VM's command: 1")

    monkeypatch.setattr(run_storm, "_run_in_vm", vm)
    with pytest.raises(MachineError, match="exit status"):
        run_storm.run(STORMS, tmp_path, lambda _: None, VM)
