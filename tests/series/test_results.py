# SPDX-License-Identifier: GPL-2.0-or-later
"""scripts/results.py: nothing that went wrong is counted as passed, and zero tests fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from series.conftest import REPOSITORY

pytestmark = pytest.mark.quick


def results(build: Path, *programs: tuple[str, str], options: tuple[str | Path, ...] = ()) -> tuple[int, str]:
    """The exit status and all that is said for programs of a result and an output each."""
    logs = build / "meson-logs"
    logs.mkdir()
    (logs / "testlog.json").write_text("".join(
        json.dumps({"name": f"program{number}", "result": result, "stdout": output}) + "\n"
        for number, (result, output) in enumerate(programs)))
    done = subprocess.run([sys.executable, "-B", REPOSITORY / "scripts" / "results.py", build, *options], text=True,
                          capture_output=True, check=False)
    assert not done.stderr
    return done.returncode, done.stdout


def test_single_cases_are_summed_over_programs(tmp_path: Path) -> None:
    status, said = results(tmp_path, ("OK", "1..2\nok 1 - a\nok 2 - b\n"), ("OK", "1..1\nok 1 /arm/x\n"))
    assert (status, said) == (0, "3 passed, 0 failed, 0 skipped\n")


def test_a_failed_case_fails_and_is_named(tmp_path: Path) -> None:
    status, said = results(tmp_path, ("FAIL", "1..2\nok 1 - a\nnot ok 2 - b\n# why\n"))
    assert (status, said) == (1, "-- failed: program0: b\n1 passed, 1 failed, 0 skipped\n")


def test_what_pytest_gives_as_the_reason_is_said_last_and_once(tmp_path: Path) -> None:
    case = "not ok {} x.py::test\n# >   fail()\n# E   ValueError: the VM was\n# E   silent\n# \n"
    status, said = results(tmp_path, ("FAIL", "1..3\n" + case.format(1) + "ok 2 a\n" + case.format(3)))
    assert status == 1
    assert said.endswith("-- the reason of 2:\n   ValueError: the VM was\n   silent\n1 passed, 2 failed, 0 skipped\n")


def test_a_skipped_case_is_named_with_its_reason(tmp_path: Path) -> None:
    status, said = results(tmp_path, ("OK", "1..2\nok 1 - a\nok 2 - b # SKIP no such device\n"))
    assert (status, said) == (0, "-- skipped: program0: b: no such device\n1 passed, 0 failed, 1 skipped\n")


def test_a_program_that_ran_out_of_time_fails_though_its_cases_passed(tmp_path: Path) -> None:
    status, said = results(tmp_path, ("TIMEOUT", "1..2\nok 1 - a\n"))
    assert status == 1 and said.endswith("1 passed, 1 failed, 0 skipped\n") and "TIMEOUT" in said


def test_a_program_that_ended_with_an_error_fails_though_its_cases_passed(tmp_path: Path) -> None:
    status, said = results(tmp_path, ("ERROR", "1..1\nok 1 - a\n"))
    assert status == 1 and said.endswith("1 passed, 1 failed, 0 skipped\n")


def test_a_program_without_a_case_fails(tmp_path: Path) -> None:
    status, said = results(tmp_path, ("OK", "1..1\nok 1 - a\n"), ("SKIP", "1..0\n"))
    assert status == 1 and "program1: no test case at all" in said


def test_a_skip_that_is_not_allowed_fails_and_is_named(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text("# Where there is none\nno such device$\n")
    output = "1..3\nok 1 - a\nok 2 - b # SKIP no such device\nok 3 - c # SKIP it didn't compile\n"
    status, said = results(tmp_path, ("OK", output), options=("--allowed-skips", allowed))
    assert status == 1 and said.endswith("1 passed, 1 failed, 1 skipped\n")
    assert "-- failed: program0: c: it didn't compile (a skip that isn't allowed)" in said


def test_an_empty_list_allows_no_skip(tmp_path: Path) -> None:
    (tmp_path / "allowed").touch()
    output = "1..2\nok 1 - a\nok 2 - b # SKIP\n"
    status, _ = results(tmp_path, ("OK", output), options=("--allowed-skips", tmp_path / "allowed"))
    assert status == 1


def test_what_there_was_no_time_for_is_skipped_and_what_failed_of_it_fails(tmp_path: Path) -> None:
    broken_off = ("INTERRUPT", "1..3\nok 1 - a\nnot ok 2 - b\n")
    status, said = results(tmp_path, broken_off, options=("--left-out", "program0", "never begun"))
    assert status == 1 and said.endswith("1 passed, 1 failed, 2 skipped\n")
    assert "-- skipped: never begun: left out, as the time was used up" in said


def test_a_program_that_broke_off_for_lack_of_time_fails_nothing(tmp_path: Path) -> None:
    status, said = results(tmp_path, ("INTERRUPT", "1..3\nok 1 - a\n"), options=("--left-out", "program0"))
    assert (status, said.splitlines()[-1]) == (0, "1 passed, 0 failed, 1 skipped")


def test_several_logs_are_summed(tmp_path: Path) -> None:
    (tmp_path / "meson-logs").mkdir()
    for name in ("testlog", "more"):
        run = {"name": name, "result": "OK", "stdout": "1..1\nok 1 - a\n"}
        (tmp_path / "meson-logs" / f"{name}.json").write_text(json.dumps(run) + "\n")
    command = [sys.executable, "-B", str(REPOSITORY / "scripts" / "results.py"), str(tmp_path)]
    done = subprocess.run(command, text=True, capture_output=True, check=True)
    assert done.stdout == "2 passed, 0 failed, 0 skipped\n"


def test_no_test_at_all_fails(tmp_path: Path) -> None:
    status, said = results(tmp_path)
    assert status == 1 and said.endswith("0 passed, 1 failed, 0 skipped\n")
