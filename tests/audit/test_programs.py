# SPDX-License-Identifier: GPL-2.0-or-later
"""The test programs: they have the crate as QEMU has it, and they notice wrong data."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from audit.cases import Case, Routine, moved_words, of_the_crate
from audit.programs import EMULATORS_LIBRARY, WANTED, Program, Wanted
from crate_builds.library import QEMU_FLAGS

# What decides about the machine code, among the arguments that Meson gives rustc.
DECISIVE = re.compile(r"-C (?:debug-assertions|overflow-checks|opt-level|target-\w+|lto|panic)=\S+|--edition=\S+")


def run(program: Program, cases: bytes, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program without an instrument."""
    file = folder / "cases"
    file.write_bytes(cases)
    emulator = [] if program.architecture == os.uname().machine else [f"qemu-{program.architecture}"]
    if emulator and not shutil.which(emulator[0]):
        pytest.skip(f"no {emulator[0]} here: scripts/needs says which packages the tests want")
    return subprocess.run([*emulator, str(program.path), str(file)], text=True, capture_output=True, timeout=300,
                          check=False)


def test_a_program_is_wanted_for_each_architecture_and_compiler() -> None:
    assert {str(wanted) for wanted in WANTED} == {
        "x86_64-current", "x86_64-distribution", "x86_64-emulator",
        "aarch64-current", "aarch64-distribution", "aarch64-emulator",
    }  # fmt: skip


def test_they_are_compiled_with_the_flags_of_qemus_build() -> None:
    build = os.environ.get("RAM_DEVICE_BUILD_PATCHED")
    if not build:
        pytest.skip("RAM_DEVICE_BUILD_PATCHED must name the emulator's build")
    rules = (Path(build) / "build.ninja").read_text().split("\nbuild ")
    (rule,) = (rule for rule in rules if rule.startswith(f"{EMULATORS_LIBRARY}:"))
    theirs = DECISIVE.findall(rule)
    assert len(theirs) >= 4, rule
    assert sorted(theirs) == sorted(DECISIVE.findall(" ".join(QEMU_FLAGS)))
    assert "--cfg MESON" in rule


def test_every_compiler_at_hand_is_another_one(build: object, program: Program) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", program.compiler_version)
    assert callable(build)
    if program.crate == "current":
        other: Program = build(Wanted(program.architecture, "distribution"))
        assert other.compiler_version != program.compiler_version


def test_the_data_moved_is_right_in_every_case(program: Program, tmp_path: Path) -> None:
    cases = [*of_the_crate(thorough=True), *moved_words()]
    done = run(program, b"".join(case.packed() for case in cases), tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{len(cases)} cases\n"), done.stderr
    assert len(cases) == 78919 + 2062


@pytest.mark.parametrize("case", [
    Case(Routine.READ, 13, 100, 200), Case(Routine.WRITE, 13, 100, 200), Case(Routine.LOAD, 4, 100),
    Case(Routine.STORE, 4, 100), Case(Routine.MOVE_WORD_FROM, 4, 100, 200), Case(Routine.MOVE_WORD_TO, 4, 100, 200)],
    ids=lambda case: case.routine.name.lower())  # fmt: skip
def test_a_program_notices_a_transfer_that_is_not_what_was_expected(program: Program, case: Case,
                                                                    tmp_path: Path) -> None:
    right = case.packed()
    expects_refusal = right[:-4] + bytes(4)
    assert run(program, right, tmp_path).returncode == 0
    done = run(program, right + expects_refusal, tmp_path)
    assert (done.returncode, done.stderr) == (1, "case 1: wrong data, or a wrong answer\n")


def without_cases() -> Sequence[bytes]:
    """Files that say nothing, or nothing that is known."""
    return [b"", Case(Routine.READ, 1, 1).packed().replace(b"\0\0\0\0", b"\xff\0\0\0", 1)]


@pytest.mark.parametrize("file", without_cases(), ids=["empty", "unknown routine"])
def test_a_program_refuses_a_file_without_cases(program: Program, file: bytes, tmp_path: Path) -> None:
    done = run(program, file, tmp_path)
    assert done.returncode == 2 and done.stderr
