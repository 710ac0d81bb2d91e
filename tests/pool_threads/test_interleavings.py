# SPDX-License-Identifier: GPL-2.0-or-later
"""C9: who waits for memory is woken, in every order of what a few queues and clients do between their locks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pool_threads import breaks, programs
from pool_threads.programs import Program

# The runs that are made and the states that are met. In the last two, states aren't taken as one: they don't have what
# is in the buffer. A change of what the pool does between its locks changes the numbers; look why, and enter the new
# ones.
SCENARIOS = {
    "two requests": (17, 40),
    "two queues that need it all": (211, 316),
    "three queues": (1071, 899),
    "requests of two pieces": (32241, 17552),
    "one that must not wait": (2209, 1706),
    "a queue that is reset": (1980, 1652),
    "two devices that share": (655, 617),
    "a budget that is closed": (1050, 879),
    "clients of an address space": (2710, 2055),
    "address spaces that share": (484, 347),
    "a queue and clients that share": (948, 677),
    "a buffer that two read again": (15490, 0),
    "a buffer that is read again when the device is gone": (8018, 0),
}
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
    assert explored(whole, scenario) == SCENARIOS[scenario]


def test_every_scenario_is_run() -> None:
    source = (programs.HERE / "scenarios.h").read_text()
    assert tuple(re.findall(r'^    \{ "([a-z ]+)", \{$', source, re.MULTILINE)) == tuple(SCENARIOS)


def test_states_that_are_taken_as_one_hide_nothing(whole: Path) -> None:
    assert explored(whole, SMALL, "all") == (44, 0)


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
