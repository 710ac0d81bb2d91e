# SPDX-License-Identifier: GPL-2.0-or-later
"""What takes a BAR away while requests are in flight, on NVIDIA's driver for a GH200's GPU: all works again afterwards.

One outer VM is run for all of these tests. RAM_DEVICE_ARM64 names the emulator, built for arm64.
"""

from __future__ import annotations

import pytest

from arm64_host.places import LINUX_6_12
from arm64_host.storms import SECONDS, for_check
from machines import emulators
from machines.error import NotAvailable
from storm import expected, run_storm
from storm.scenarios import OUTSIDE, Result, Storm

Report = dict[Storm, Result]
PLANNED = for_check("emulator")


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What one run of the outer VM has shown, for each storm as it is planned here."""
    ours = str(emulators.wanted_on_arm64())
    work = tmp_path_factory.mktemp("storms")
    try:
        vm = LINUX_6_12.outer_vm(work)
    except NotAvailable as reason:
        pytest.skip(f"no arm64 host: {reason}")
    results = run_storm.run(for_check(ours), work, lambda made: print(run_storm.line(made)), vm, SECONDS)
    return dict(zip(PLANNED, results, strict=True))


def name(storm: Storm) -> str:
    return storm.sentence()


@pytest.mark.parametrize("storm", PLANNED, ids=name)
def test_the_emulator_lives_and_all_works_again_with_the_contents_that_must_be(report: Report, storm: Storm) -> None:
    expected.lives_and_works(report[storm])


@pytest.mark.parametrize("storm", PLANNED, ids=name)
def test_every_request_was_answered(report: Report, storm: Storm) -> None:
    expected.every_request_was_answered(report[storm])


@pytest.mark.parametrize("storm", PLANNED, ids=name)
def test_mapping_anew_leaves_no_more_mappings_than_before(report: Report, storm: Storm) -> None:
    expected.as_many_mappings_as_before(report[storm])


@pytest.mark.parametrize("storm", [storm for storm in PLANNED if storm.way != OUTSIDE], ids=name)
def test_no_request_fails_that_had_its_data_when_the_guest_took_the_bar_away(report: Report, storm: Storm) -> None:
    assert report[storm].error == 0

