# SPDX-License-Identifier: GPL-2.0-or-later
"""C9, C10: in every order of what a few queues and clients do between their locks, who waits for memory is woken, no
budget is exceeded, whoever waits longest gets what comes back, and nothing is left of devices that leave meanwhile."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pool_threads import breaks, programs
from pool_threads.programs import Program

# The runs that are made, the states that are met, and how often a request has waited at most: once for each piece, but
# where a turn isn't taken, or a budget may be overdrawn. Where buffers are read again, states aren't taken as one: they
# don't have what is in the buffer. A change of what the pool does between its locks changes the numbers; look why, and
# enter the new ones.
SCENARIOS = {
    "two requests": (17, 52, 1),
    "two queues that need it all": (261, 542, 1),
    "three queues": (1745, 1884, 1),
    "requests of two pieces": (18084, 15940, 2),
    "one that must not wait": (4271, 3704, 2),
    "a queue that is reset": (6285, 5479, 1),
    "a queue that does not take its turn": (25429, 24286, 4),
    "a queue that is reset while it waits": (1893, 1636, 1),
    "a device that is unplugged while its queue waits": (804, 683, 1),
    "a device that is ejected under requests": (449, 323, 0),
    "a queue that waits for a device that is ejected": (1009, 815, 1),
    "a queue that others overtake": (3783, 3821, 1),
    "memory that the host refuses a queue": (921, 796, 0),
    "memory that the host refuses when a budget is full": (11328, 5742, 1),
    "memory that the host refuses a client": (6357, 3397, 0),
    "two devices that share": (772, 822, 1),
    "three devices that share": (1511, 1124, 1),
    "a budget that is closed": (1124, 984, 1),
    "clients of an address space": (2710, 2055, 0),
    "address spaces that share": (484, 347, 0),
    "a queue and clients that share": (1049, 760, 1),
    "a buffer that two read again": (15490, 0, 0),
    "a buffer that is read again when the device is gone": (7430, 0, 0),
    "four queues": (11728, 9587, 1),
    "four queues of three devices": (50157, 28884, 1),
    "three queues and a reset": (46294, 26567, 1),
    "three queues and an ejection": (23848, 11556, 1),
}
LARGE = {
    "four queues of six requests": (226109, 114287, 1),
    "three queues of five requests of two pieces": (183352, 105076, 2),
}
# Few enough steps for every order to be made, states that are the same or not.
SMALL = breaks.Break.scenario


@pytest.fixture(scope="module")
def whole(interleavings: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return interleavings.link(tmp_path_factory.mktemp("whole"))


def explored(program: Path, *arguments: str) -> tuple[int, int, int]:
    """The runs that were made, the states that were met, and the turns that a request has waited."""
    is_right, said = programs.run(program, *arguments)
    assert is_right, said
    print(said)
    found = re.fullmatch(r"(\d+) runs, (\d+) states, (\d+) turns\n", said)
    assert found, said
    return int(found[1]), int(found[2]), int(found[3])


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_c9_every_order_of(scenario: str, whole: Path) -> None:
    assert explored(whole, scenario) == SCENARIOS[scenario]


@pytest.mark.exhaustive
@pytest.mark.parametrize("scenario", LARGE)
def test_c9_every_order_of_more(scenario: str, whole: Path) -> None:
    assert explored(whole, scenario) == LARGE[scenario]


def test_every_scenario_is_run() -> None:
    source = (programs.HERE / "scenarios.h").read_text()
    assert tuple(re.findall(r'^    \{ "([a-z ]+)", \{$', source, re.MULTILINE)) == (*SCENARIOS, *LARGE)


def test_states_that_are_taken_as_one_hide_nothing(whole: Path) -> None:
    assert explored(whole, SMALL, "all") == (44, 0, 1)


def assert_found(broken: breaks.Break, interleavings: Program, folder: Path, *ways: str) -> None:
    """A break is found, in each of the ways to explore as well."""
    program = interleavings.link(folder, programs.edited(folder, broken.was, broken.becomes))
    for way in ((), *((way,) for way in ways)):
        is_right, said = programs.run(program, broken.scenario, *way)
        assert not is_right and broken.said in said, said


@pytest.mark.parametrize("name", breaks.WAKING)
def test_the_interleavings_show_that(name: str, interleavings: Program, tmp_path: Path) -> None:
    assert_found(breaks.WAKING[name], interleavings, tmp_path, "all")


@pytest.mark.parametrize("name", breaks.SERVING)
def test_those_who_wait_show_that(name: str, interleavings: Program, tmp_path: Path) -> None:
    assert_found(breaks.SERVING[name], interleavings, tmp_path)


@pytest.mark.parametrize("name", breaks.LEAVING)
def test_devices_that_leave_show_that(name: str, interleavings: Program, tmp_path: Path) -> None:
    assert_found(breaks.LEAVING[name], interleavings, tmp_path)


@pytest.mark.parametrize("name", breaks.REFUSED_BY_THE_HOST)
def test_a_host_that_refuses_memory_shows_that(name: str, interleavings: Program, tmp_path: Path) -> None:
    assert_found(breaks.REFUSED_BY_THE_HOST[name], interleavings, tmp_path)


@pytest.mark.parametrize("name", breaks.SHARING)
def test_those_who_share_show_that(name: str, interleavings: Program, tmp_path: Path) -> None:
    assert_found(breaks.SHARING[name], interleavings, tmp_path)
