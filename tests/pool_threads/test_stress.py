# SPDX-License-Identifier: GPL-2.0-or-later
"""C7, C9, C10: threads share the pool: no race, no wrong byte, bounded memory, nothing left of it, no wake-up lost."""

from __future__ import annotations

import re
from pathlib import Path

import breaks
import programs
import pytest
from programs import Program

SEEDS = range(1, 4)
OPERATIONS = "600"
# What a run must have met, or it shows nothing.
MET = ("shared", "waits", "wakes", "nevers", "copies", "failed fills", "unplugs")


@pytest.fixture(scope="module")
def whole(stress: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stress.link(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("seed", SEEDS)
def test_c9_eight_threads_break_nothing(seed: int, whole: Path) -> None:
    is_right, said = programs.run(whole, str(seed), OPERATIONS)
    assert is_right, said
    print(said)
    met = {name: int(number) for name, number in re.findall(r"([a-z ]+) (\d+)(?:, |\n)", said)}
    assert tuple(met) == MET and all(met.values()), said


@pytest.mark.parametrize("name", breaks.THREADS)
def test_the_stress_finds_that(name: str, stress: Program, tmp_path: Path) -> None:
    broken = breaks.THREADS[name]
    program = stress.link(tmp_path, programs.edited(tmp_path, broken.was, broken.becomes))
    is_right, said = programs.run(program, "1", OPERATIONS)
    assert not is_right and broken.said in said, said
