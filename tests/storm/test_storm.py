# SPDX-License-Identifier: GPL-2.0-or-later
"""The storm on kernel VFIO, as far as there is time for it; run_storm.py makes it longer.

One outer VM is run for all of these tests. The emulators are named by environment variables: RAM_DEVICE_PATCHED, and
RAM_DEVICE_STOCK for the one that has no C7.
"""

from __future__ import annotations

import os
import signal

import expected
import pytest
import run_storm
import scenarios
from scenarios import BLK, BULK, MEMORY_ENABLE, OUTSIDE, STOCK, Result, Storm

Report = dict[Storm, Result]
NAMES = "emulator"
SURVIVED = scenarios.survived(NAMES)
LOSING = [storm for storm in SURVIVED if storm.way in (MEMORY_ENABLE, OUTSIDE) and storm.traffic != BULK]
DEADLY = scenarios.deadly(NAMES, NAMES)


def emulator(variable: str) -> str | None:
    """The emulator that the environment variable names."""
    value = os.environ.get(variable)
    if value and not os.access(value, os.X_OK):
        pytest.fail(f"{variable} is {value}, which is no program")
    return value or None


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What one run of the outer VM has shown, for each storm as it is planned here."""
    patched, stock = emulator("RAM_DEVICE_PATCHED"), emulator("RAM_DEVICE_STOCK")
    if patched is None:
        pytest.skip("RAM_DEVICE_PATCHED names no emulator to test")
    if missing := run_storm.missing_programs():
        pytest.skip(f"the storm needs these Debian packages: {' '.join(missing)}")
    planned = [storm for storm in DEADLY if stock or storm.variant != STOCK] + SURVIVED
    storms = [*scenarios.deadly(patched, stock), *scenarios.survived(patched)]
    results = run_storm.run(storms, tmp_path_factory.mktemp("storm"), lambda made: print(run_storm.line(made)))
    print(run_storm.summary(results))
    return dict(zip(planned, results, strict=True))


def name(storm: Storm) -> str:
    return storm.sentence()


def of_patched(report: Report, traffic: str) -> list[Result]:
    return [report[storm] for storm in SURVIVED if storm.traffic == traffic]


@pytest.mark.parametrize("storm", SURVIVED, ids=name)
def test_the_emulator_lives_and_all_works_again_with_the_contents_that_must_be(report: Report, storm: Storm) -> None:
    expected.lives_and_works(report[storm])


def test_every_request_of_virtio_blk_was_answered(report: Report) -> None:
    for made in of_patched(report, BLK):
        expected.every_request_was_answered(made)


def test_some_writes_of_virtio_blk_met_the_bar_gone_and_some_did_not(report: Report) -> None:
    made = [result for result in of_patched(report, BLK) if result.storm.way == OUTSIDE]
    assert sum(result.ok for result in made) > 0
    assert sum(result.error for result in made) > 0


def test_some_bulk_accesses_were_cut_by_a_bus_error_and_some_were_not(report: Report) -> None:
    (made,) = of_patched(report, BULK)
    assert made.ok > 0
    assert made.error > 0


def test_the_bar_was_taken_away_more_than_a_thousand_times_without_a_death(report: Report) -> None:
    assert sum(report[storm].revocations for storm in SURVIVED) > 1000


@pytest.mark.parametrize("storm", LOSING, ids=name)
def test_some_of_what_is_copied_met_the_bar_gone(report: Report, storm: Storm) -> None:
    assert report[storm].lost + report[storm].error > 0


@pytest.mark.parametrize("storm", DEADLY, ids=name)
def test_without_c7_the_emulator_dies_of_a_bus_error(report: Report, storm: Storm) -> None:
    if storm not in report:
        pytest.skip("RAM_DEVICE_STOCK names no emulator to compare with")
    assert report[storm].signal == signal.SIGBUS
