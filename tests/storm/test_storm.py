# SPDX-License-Identifier: GPL-2.0-or-later
"""The storm on kernel VFIO, as far as there is time for it; run_storm.py makes it longer.

One outer VM is run for the storms that `make check` has, and one for the further ones of `make check-all`. The
emulators are named by environment variables: RAM_DEVICE_PATCHED, and RAM_DEVICE_STOCK for the one that has no C7.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace

import pytest

from machines import emulators
from storm import expected, run_storm, scenarios
from storm.scenarios import BLK, BULK, FUNCTION_RESET, STOCK, Result, Storm

Report = dict[Storm, Result]
NAMES = "emulator"
SURVIVED, ALSO_SURVIVED = scenarios.survived(NAMES), scenarios.also_survived(NAMES)
DEADLY = scenarios.deadly(NAMES, NAMES)
EXHAUSTIVE = pytest.mark.exhaustive


def carried_out(planned: Sequence[Storm], folder: pytest.TempPathFactory) -> Report:
    """What one run of the outer VM has shown, for each storm as it is planned here."""
    variants = {storm.variant: STOCK if storm.variant == STOCK else "patched" for storm in planned}
    programs = {name: str(emulators.wanted(variant)) for name, variant in variants.items()}
    if missing := run_storm.missing_programs():
        pytest.skip(f"the storm needs these Debian packages: {' '.join(missing)}")
    storms = [replace(storm, emulator=programs[storm.variant]) for storm in planned]
    results = run_storm.run(storms, folder.mktemp("storm"), lambda made: print(run_storm.line(made)))
    print(run_storm.summary(results))
    return dict(zip(planned, results, strict=True))


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The storms that `make check` has."""
    deadly = [storm for storm in DEADLY if storm.variant != STOCK or emulators.given(STOCK)]
    return carried_out([*deadly, *SURVIVED], tmp_path_factory)


@pytest.fixture(scope="session")
def further(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Those that it leaves out."""
    return carried_out(ALSO_SURVIVED, tmp_path_factory)


def name(storm: Storm) -> str:
    return storm.sentence()


def losing(storms: Sequence[Storm]) -> list[Storm]:
    """Those in which something that is copied meets the BAR gone. vfio-pci's is back when a function is reset."""
    return [storm for storm in storms if storm.begins_in_flight and storm.way != FUNCTION_RESET]


def of_patched(report: Report, traffic: str) -> list[Result]:
    return [made for storm, made in report.items() if storm not in DEADLY and storm.traffic == traffic]


@pytest.mark.parametrize("storm", SURVIVED, ids=name)
def test_the_emulator_lives_and_all_works_again_with_the_contents_that_must_be(report: Report, storm: Storm) -> None:
    expected.lives_and_works(report[storm])


def test_every_request_of_virtio_blk_was_answered(report: Report) -> None:
    for made in of_patched(report, BLK):
        expected.every_request_was_answered(made)


def test_some_bulk_accesses_were_cut_by_a_bus_error(report: Report) -> None:
    (made,) = of_patched(report, BULK)
    assert made.error > 0


def test_the_bar_was_taken_away_seven_hundred_times_without_a_death(report: Report) -> None:
    assert sum(report[storm].revocations for storm in SURVIVED) >= sum(storm.revocations for storm in SURVIVED) > 690


@pytest.mark.parametrize("storm", losing(SURVIVED), ids=name)
def test_some_of_what_is_copied_met_the_bar_gone(report: Report, storm: Storm) -> None:
    assert report[storm].lost + report[storm].error > 0


@EXHAUSTIVE
@pytest.mark.parametrize("storm", ALSO_SURVIVED, ids=name)
def test_the_emulator_lives_in_further_storms_with_the_contents_that_must_be(further: Report, storm: Storm) -> None:
    expected.lives_and_works(further[storm])


@EXHAUSTIVE
@pytest.mark.parametrize("storm", losing(ALSO_SURVIVED), ids=name)
def test_some_of_what_is_copied_met_the_bar_gone_in_further_storms(further: Report, storm: Storm) -> None:
    assert further[storm].lost + further[storm].error > 0


@EXHAUSTIVE
def test_every_request_of_virtio_blk_was_answered_in_further_storms(further: Report) -> None:
    for made in of_patched(further, BLK):
        expected.every_request_was_answered(made)


@pytest.mark.parametrize("storm", DEADLY, ids=name)
def test_without_c7_the_emulator_dies_of_a_bus_error(report: Report, storm: Storm) -> None:
    if storm not in report:
        pytest.skip("RAM_DEVICE_STOCK names no emulator to compare with")
    assert report[storm].signal == signal.SIGBUS
