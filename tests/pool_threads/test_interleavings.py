# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: who waits for memory is woken, in every order of what a few queues and clients do between their locks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pool_threads import breaks, programs
from pool_threads.programs import Program

SCENARIOS = (
    "two requests", "two queues that need it all", "three queues", "requests of two pieces",
    "one that must not wait",
    "a queue that is reset", "two devices that share", "a budget that is closed", "clients of an address space",
    "address spaces that share", "a queue and clients that share", "a buffer that two read again",
    "a buffer that is read again when the device is gone",
)  # fmt: skip
# Their states aren't taken as one: they don't have what is in the buffer.
READERS = SCENARIOS[-2:]
# Few enough steps for every order to be made, states that are the same or not.
SMALL = breaks.Break.scenario


@pytest.fixture(scope="module")
def whole(interleavings: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return interleavings.link(tmp_path_factory.mktemp("whole"))


def explored(program: Path, *arguments: str) -> tuple[int, int]:
    """The runs that were made, and the states that were met."""
    is_right, said = programs.run(program, *arguments)
    assert is_right, said
    print(said)
    found = re.fullmatch(r"(\d+) runs, (\d+) states\n", said)
    assert found, said
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_c9_every_order_of(scenario: str, whole: Path) -> None:
    runs, states = explored(whole, scenario)
    assert runs > 10 and (states > 20 or scenario in READERS)


def test_every_scenario_is_run() -> None:
    source = (programs.HERE / "scenarios.h").read_text()
    assert tuple(re.findall(r'^    \{ "([a-z ]+)", \{$', source, re.MULTILINE)) == SCENARIOS


def test_states_that_are_taken_as_one_hide_nothing(whole: Path) -> None:
    runs, states = explored(whole, SMALL, "all")
    assert states == 0 and runs > explored(whole, SMALL)[0]


def assert_found(broken: breaks.Break, interleavings: Program, folder: Path, *options: str) -> None:
    program = interleavings.link(folder, programs.edited(folder, broken.was, broken.becomes))
    is_right, said = programs.run(program, broken.scenario, *options)
    assert not is_right and broken.said in said, said


@pytest.mark.parametrize("options", [(), ("all",)], ids=["states", "all"])
@pytest.mark.parametrize("name", breaks.WAKING)
def test_the_interleavings_show_that(name: str, options: tuple[str, ...], interleavings: Program,
                                     tmp_path: Path) -> None:
    assert_found(breaks.WAKING[name], interleavings, tmp_path, *options)


@pytest.mark.parametrize("name", breaks.SHARING)
def test_those_who_share_show_that(name: str, interleavings: Program, tmp_path: Path) -> None:
    assert_found(breaks.SHARING[name], interleavings, tmp_path)
