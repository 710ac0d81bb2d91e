# SPDX-License-Identifier: GPL-2.0-or-later
"""DMA of a word to RAM is one store: the accesses of ram_move_word(), and those of the memmove() that it replaces."""

from __future__ import annotations

import pytest

from audit.cases import WIDTHS, Routine
from audit.programs import WANTED, Wanted
from audit.test_traces import Build, holds, instrument
from audit.trace_run import RUNS, Run, libc, moved_words
from audit.violations import Findings
from audit.word_stores import is_one, shown, word_stores

# A word that the memmove() of glibc 2.36 doesn't store at once, by architecture.
STORED_IN_PARTS = {"x86_64": 2, "aarch64": 1}


@pytest.fixture(scope="module", params=RUNS, ids=str)
def moved(request: pytest.FixtureRequest, build: Build) -> dict[str, Findings]:
    """One program's traces of words moved from RAM to RAM, held against what is expected."""
    run: Run = request.param
    program = build(run.wanted)
    return moved_words(program, instrument(run.instrument, program))


@pytest.mark.parametrize("alignment", ["aligned", "misaligned"])
def test_a_word_is_one_load_of_its_width_from_the_source_and_one_store_to_the_destination(
        moved: dict[str, Findings], alignment: str) -> None:
    holds(moved[alignment])
    assert moved[alignment].accesses == moved[alignment].traces >= 900


def test_of_a_length_that_is_no_words_nothing_is_loaded_or_stored(moved: dict[str, Findings]) -> None:
    assert moved["refusals"].traces == 14
    assert not moved["refusals"].violating, moved["refusals"].report
    assert not moved["refusals"].accesses


@pytest.mark.parametrize("wanted", [WANTED[0], WANTED[3]], ids=str)
def test_the_stores_of_ram_move_word_are_one_of_each_width(wanted: Wanted, build: Build) -> None:
    program = build(wanted)
    stores = word_stores(program, instrument("plugin", program), Routine.MOVE_WORD_TO)
    assert stores == {width: {((0, width),)} for width in WIDTHS}


@pytest.mark.parametrize("wanted", [WANTED[0], WANTED[3]], ids=lambda wanted: wanted.architecture)
def test_a_word_that_memmove_stores_in_parts_is_not_taken_for_one_store(wanted: Wanted, build: Build) -> None:
    """The negative control, on aarch64 the very byte of DPDK's e1000."""
    program = build(wanted)
    width = STORED_IN_PARTS[program.architecture]
    stores = word_stores(program, instrument("plugin", program), Routine.MEMMOVE_TO)
    print(f"memmove() of {width} on {program.architecture}: {shown(stores, width)}")
    if is_one(stores, width):
        pytest.skip(f"memmove() of {libc(program.architecture)} makes one store of {width} on {program.architecture}")
    assert all(len(sequence) > 1 for sequence in stores[width])
