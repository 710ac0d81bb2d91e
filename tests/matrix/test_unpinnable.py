# SPDX-License-Identifier: GPL-2.0-or-later
"""O_DIRECT and the test device, whose BARs the kernel refuses to pin here, as it refuses those of its vfio-pci."""

from __future__ import annotations

import os

import pytest

from machines import secret_memory
from machines.error import NotAvailable
from machines.o_direct import want_refusal
from matrix import places, selection
from matrix.cases import expected_of_direct
from matrix.dimensions import BOTH_WAYS, ENGINES, FORMATS, IO_ERROR, O_DIRECT, OK, STORAGE_DEVICES, USB
from matrix.jobs import Outcome
from matrix.machine import DIRECT, PATCHED, Unpinnable, Variant
from matrix.run_matrix import Report, run_on_host, sentence

# usb-storage copies.
DEVICES = {device for device in STORAGE_DEVICES if device != USB}


@pytest.fixture(scope="module")
def report(patched: Variant, direct: Variant, tmp_path_factory: pytest.TempPathFactory) -> Report:
    work = tmp_path_factory.mktemp("unpinnable")
    try:
        want_refusal(work, 2 * places.SIZE)
    except NotAvailable as why:
        pytest.skip(str(why))
    bars = Unpinnable(secret_memory.new(places.SIZE), secret_memory.new(places.SIZE))
    try:
        return run_on_host(selection.on_host_unpinnable(patched, direct), work, lambda _: None, bars)
    finally:
        os.close(bars.lower)
        os.close(bars.upper)


def chosen(report: Report, variant: str, *caches: str) -> list[Outcome]:
    """The variant's outcomes on disks with these cache modes."""
    return [outcome for outcome in report.outcomes
            if outcome.variant == variant and outcome.case.disk and outcome.case.disk.cache in caches]  # fmt: skip


def test_all_that_is_planned_was_run(report: Report, patched: Variant, direct: Variant) -> None:
    todo = selection.on_host_unpinnable(patched, direct)
    planned = [(job.variant.name, case) for job in todo for case in job.cases]
    assert [(outcome.variant, outcome.case) for outcome in report.outcomes] == planned
    counts = {variant: sum(name == variant for name, _ in planned) for variant in (PATCHED, DIRECT)}
    assert counts == {PATCHED: 832, DIRECT: 392}


def test_o_direct_gives_no_io_error_and_equal_contents(report: Report) -> None:
    made = chosen(report, PATCHED, *O_DIRECT)
    combined = {(case.device, case.operation, case.disk.format, case.disk.cache, case.disk.aio)
                for outcome in made if (case := outcome.case).disk}  # fmt: skip
    assert len(combined) == len(DEVICES) * len(BOTH_WAYS) * len(FORMATS) * len(O_DIRECT) * len(ENGINES)
    assert {outcome.case.device for outcome in made} == DEVICES
    failed = [sentence(outcome) for outcome in made if outcome.verdict != OK]
    assert failed == [], failed


def test_without_o_direct_requests_succeed_and_with_pointers_too(report: Report) -> None:
    made = [*chosen(report, PATCHED, "writeback"), *chosen(report, DIRECT, "writeback")]
    assert {outcome.case.device for outcome in made} == DEVICES
    failed = [sentence(outcome) for outcome in made if outcome.verdict != OK]
    assert failed == [], failed


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pointer_into_the_bar_makes_io_errors_of_o_direct(report: Report, engine: str) -> None:
    made = [outcome for outcome in chosen(report, DIRECT, *O_DIRECT)
            if outcome.case.disk and outcome.case.disk.aio == engine]  # fmt: skip
    assert {outcome.case.device for outcome in made} == DEVICES
    assert {outcome.verdict for outcome in made} == {IO_ERROR}
    assert report.unexpected(DIRECT, expected_of_direct) == []


def test_nothing_else_in_memory_or_on_the_disks_has_changed(report: Report) -> None:
    assert report.differences == [], report.differences
