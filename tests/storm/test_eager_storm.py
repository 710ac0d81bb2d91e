# SPDX-License-Identifier: GPL-2.0-or-later
"""The storm on a kernel driver that maps a BAR at mmap() and takes the mapping away for good: eager_driver/.

nvgrace-gpu of Linux 6.12 is one. One outer VM is run for all of these tests; RAM_DEVICE_PATCHED and RAM_DEVICE_STOCK
name the emulators.
"""

from __future__ import annotations

import signal

import pytest

from machines import emulators
from storm import expected, run_storm, scenarios
from storm.scenarios import BLK, BULK, EAGER, MEMORY_ENABLE, OUTSIDE, Result, Storm

pytestmark = pytest.mark.exhaustive

Report = dict[Storm, Result]
NAMES = "emulator"
SURVIVED = scenarios.survived_eager(NAMES)
BY_THE_GUEST = [storm for storm in SURVIVED if storm.way != OUTSIDE]
STOCK_DIES = scenarios.deadly_eager(NAMES)


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What one run of the outer VM has shown, for each storm as it is planned here."""
    patched, stock = str(emulators.wanted("patched")), emulators.given("stock")
    if missing := run_storm.missing_programs():
        pytest.skip(f"the storm needs these Debian packages: {' '.join(missing)}")
    if reason := run_storm.why_no_eager_driver():
        pytest.skip(f"no {EAGER} in the outer VM: {reason}")
    planned = [*(STOCK_DIES if stock else []), *SURVIVED]
    storms = [*(scenarios.deadly_eager(str(stock)) if stock else []), *scenarios.survived_eager(patched)]
    results = run_storm.run(storms, tmp_path_factory.mktemp("storm"), lambda made: print(run_storm.line(made)))
    print(run_storm.summary(results))
    return dict(zip(planned, results, strict=True))


def name(storm: Storm) -> str:
    return storm.sentence()


@pytest.mark.parametrize("storm", SURVIVED, ids=name)
def test_the_emulator_lives_and_all_works_again_with_the_contents_that_must_be(report: Report, storm: Storm) -> None:
    expected.lives_and_works(report[storm])


@pytest.mark.parametrize("storm", SURVIVED, ids=name)
def test_mapping_anew_leaves_no_more_mappings_than_before(report: Report, storm: Storm) -> None:
    expected.as_many_mappings_as_before(report[storm])


@pytest.mark.parametrize("storm", [storm for storm in SURVIVED if storm.begins_in_flight], ids=name)
def test_some_of_what_is_copied_met_the_bar_gone(report: Report, storm: Storm) -> None:
    assert report[storm].lost + report[storm].error > 0


@pytest.mark.parametrize("storm", [storm for storm in SURVIVED if storm.traffic == BLK], ids=name)
def test_every_request_of_virtio_blk_was_answered(report: Report, storm: Storm) -> None:
    expected.every_request_was_answered(report[storm])


def test_each_access_after_memory_enable_is_set_again_is_made_whole(report: Report) -> None:
    (made,) = [report[storm] for storm in BY_THE_GUEST if (storm.traffic, storm.way) == (BULK, MEMORY_ENABLE)]
    assert made.error == 0
    assert made.ok >= made.storm.revocations


def test_the_bar_was_taken_away_more_than_nine_hundred_times_without_a_death(report: Report) -> None:
    assert sum(report[storm].revocations for storm in SURVIVED) > 900


@pytest.mark.parametrize("storm", STOCK_DIES, ids=name)
def test_without_c7_the_emulator_dies_of_a_bus_error(report: Report, storm: Storm) -> None:
    if storm not in report:
        pytest.skip("RAM_DEVICE_STOCK names no emulator to compare with")
    assert report[storm].signal == signal.SIGBUS
