# SPDX-License-Identifier: GPL-2.0-or-later
"""run_suites.py: what differs, what fails and what isn't there is told; only what ran and is the same passes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

SCRIPT = Path(__file__).with_name("run_suites.py")


def build(folder: Path, **suites: str) -> Path:
    """What stands for a build of QEMU's: a program for each suite, which says this."""
    (folder / "meson-info").mkdir(parents=True)
    (folder / "meson-info" / "intro-tests.json").write_text(json.dumps([
        {"name": f"{suite}-test", "suite": [f"qemu:{suite}"], "cmd": ["echo", said], "env": {}, "workdir": None,
         "is_parallel": True} for suite, said in suites.items()]))
    return folder


def run(suites: list[str], *pairs: tuple[Path, Path]) -> tuple[int, list[str]]:
    """The exit status, and what was said."""
    words = [word for number, pair in enumerate(pairs) for word in ("--pair", str(number), *pair)]
    command = [sys.executable, "-B", "-P", SCRIPT, *suites, *words]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    assert not done.stderr
    return done.returncode, done.stdout.splitlines()


def test_the_same_on_both_builds_passes(tmp_path: Path) -> None:
    status, said = run(["unit"], (build(tmp_path / "a", unit="ok 1 /x"), build(tmp_path / "b", unit="ok 1 /x")))
    assert status == 0 and "   stock:   1 programs: 1 ok" in said and said[-1] == "no differences"


def test_a_case_that_differs_fails_and_is_named(tmp_path: Path) -> None:
    status, said = run(["unit"], (build(tmp_path / "a", unit="ok 1 /x"), build(tmp_path / "b", unit="not ok 1 /x")))
    assert status == 1 and "      unit-test: /x: ok / not ok" in said


def test_a_suite_that_some_builds_have_passes(tmp_path: Path) -> None:
    status, said = run(["unit", "rust"], *(
        (build(tmp_path / f"{name}-a", **suites), build(tmp_path / f"{name}-b", **suites))
        for name, suites in (("with", {"unit": "ok 1 /x", "rust": "ok 1 /y"}), ("without", {"unit": "ok 1 /x"}))))
    assert status == 0 and "rust, 1: none in this build" in said


def test_a_suite_that_no_build_has_fails_and_is_named(tmp_path: Path) -> None:
    builds = build(tmp_path / "a", unit="ok 1 /x"), build(tmp_path / "b", unit="ok 1 /x")
    status, said = run(["unit", "absent"], builds)
    assert status == 1 and any(line.startswith("absent: asked for, but no build has a test of it") for line in said)


def test_doctests_of_one_file_are_told_apart_and_the_trees_folder_is_not_part_of_their_names(tmp_path: Path) -> None:
    one, two = "a.rs - a::One<T> (line 3) ... ok", "a.rs - a::Two (line 9) ... ignored"
    first = f"test ../../tree/{one}\ntest ../../tree/{two}"
    second = f"test ../../stock-tree/{two}\ntest ../../stock-tree/{one}"
    status, said = run(["rust"], (build(tmp_path / "a", rust=first), build(tmp_path / "b", rust=second)))
    assert status == 0 and "   stock:   1 programs: 1 ok, 1 skip" in said


# A program that fails when it is run for the first time in this folder.
UNSTEADY = ["sh", "-c", "test -e been-here && echo ok 1 /x || { touch been-here; echo not ok 1 /x; }"]


@pytest.mark.parametrize("side", ["stock", "patched"])
@pytest.mark.parametrize("number", [1, 2])
def test_what_differs_at_first_and_not_when_run_again_is_named_and_may_be_one_program(
    tmp_path: Path, number: int, side: str
) -> None:
    names = [f"unit{suite}" for suite in range(number)]
    folders = {name: build(tmp_path / name, **dict.fromkeys(names, "ok 1 /x")) for name in ("stock", "patched")}
    tests = folders[side] / "meson-info" / "intro-tests.json"
    tests.write_text(json.dumps([
        made | {"cmd": UNSTEADY, "workdir": str(workdir)} for made in json.loads(tests.read_text())
        for workdir in [folders[side] / made["name"]] if not workdir.mkdir()]))
    status, said = run(names, (folders["stock"], folders["patched"]))
    assert status == (0 if number == 1 else 1)
    first = "not ok / ok" if side == "stock" else "ok / not ok"
    assert said.count("   different at first, and the same when run again:") == number
    assert [line for line in said if line == f"      unit0-test: /x: {first}"]
    named = ", ".join(f"{name}-test" for name in names)
    assert said[-2:] == [f"{number} programs were different at first, of 1 that may: {named}", "no differences"]
