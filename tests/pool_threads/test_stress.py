# SPDX-License-Identifier: GPL-2.0-or-later
"""C7, C9, C10: threads share the pool: no race, no wrong byte, bounded memory, nothing left of it, no wake-up lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pool_threads import breaks, programs
from pool_threads.programs import Program

SEEDS = range(1, 4)
# Each of the breaks is met by nearly every run, but which threads meet is the machine's affair.
SEEDS_UNTIL_FOUND = range(1, 11)
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
    for seed in SEEDS_UNTIL_FOUND:
        is_right, said = programs.run(program, str(seed), OPERATIONS)
        if not is_right:
            assert broken.said in said, said
            return
    pytest.fail(f"not found with {len(SEEDS_UNTIL_FOUND)} seeds")
