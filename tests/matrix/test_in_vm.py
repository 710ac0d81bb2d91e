# SPDX-License-Identifier: GPL-2.0-or-later
"""A representative part of the matrix on the kernel's vfio-pci, which refuses O_DIRECT into a BAR (VM_PFNMAP).

One outer VM is run for all of these tests. run_matrix.py runs the whole matrix there.
"""

from __future__ import annotations

import pytest

from machines import emulators
from matrix import selection
from matrix.cases import expected_of_direct, expected_of_stock
from matrix.dimensions import BARS, BOTH_WAYS, ENGINES, IO_ERROR, KIB, LARGE, LOST_DEVICE, OK, STORAGE_DEVICES, USB
from matrix.jobs import Outcome
from matrix.machine import DIRECT, PATCHED, STOCK, Variant
from matrix.run_matrix import Report, run_in_vm, sentence
from matrix.stores import BLOCK_DEVICE, EXT4, SHARE

pytestmark = pytest.mark.exhaustive

DEVICES = {device for device in STORAGE_DEVICES if device != USB}
TIMEOUT = 1500.0


@pytest.fixture(scope="module")
def report(
    patched: Variant,
    stock: list[Variant],
    direct: Variant,
    tmp_path_factory: pytest.TempPathFactory,
) -> Report:
    """What one run of the outer VM has shown."""
    emulators.want_outer_vm()
    todo = selection.in_vm_for_check_all(patched, [*stock, direct])
    return run_in_vm(todo, tmp_path_factory.mktemp("matrix"), TIMEOUT, lambda _: None)


def chosen(report: Report, variant: str, **disk: str) -> list[Outcome]:
    """The variant's outcomes on such disks; there must be some, but for a stock emulator that wasn't given."""
    found = [
        outcome
        for outcome in report.outcomes
        if outcome.variant == variant
        and outcome.case.disk is not None
        and all(getattr(outcome.case.disk, name) == value for name, value in disk.items())
    ]
    if variant == STOCK and not any(outcome.variant == STOCK for outcome in report.outcomes):
        pytest.skip(f"no emulator to compare with: {variant}")
    assert found, f"no outcome of {variant} with {disk}"
    return found


def not_ok(outcomes: list[Outcome]) -> list[str]:
    return [sentence(outcome) for outcome in outcomes if outcome.verdict != OK]


def test_all_combinations_were_run(report: Report, patched: Variant, stock: list[Variant], direct: Variant) -> None:
    todo = selection.in_vm_for_check_all(patched, [*stock, direct])
    planned = [(job.variant.name, case) for job in todo for case in job.cases]
    assert [(outcome.variant, outcome.case) for outcome in report.outcomes] == planned


@pytest.mark.parametrize("store", [BLOCK_DEVICE, EXT4])
@pytest.mark.parametrize("operation", BOTH_WAYS)
@pytest.mark.parametrize("engine", ENGINES)
def test_o_direct_gives_no_io_error_and_equal_contents(report: Report, engine: str, operation: str, store: str) -> None:
    made = [
        outcome
        for outcome in chosen(report, PATCHED, store=store, cache="none", aio=engine)
        if outcome.case.operation == operation
    ]
    assert {outcome.case.device for outcome in made} == DEVICES
    assert (found := not_ok(made)) == [], found


@pytest.mark.parametrize("engine", ENGINES)
def test_directsync_gives_no_io_error_and_equal_contents(report: Report, engine: str) -> None:
    assert (found := not_ok(chosen(report, PATCHED, cache="directsync", aio=engine))) == [], found


@pytest.mark.parametrize("engine", ENGINES)
def test_o_direct_of_more_pages_than_one_bio_has_succeeds(report: Report, engine: str) -> None:
    large = [
        outcome
        for outcome in chosen(report, PATCHED, store=BLOCK_DEVICE, cache="none", aio=engine)
        if outcome.case.size == LARGE
    ]
    assert len(large) == len(DEVICES) * len(BARS) * len(BOTH_WAYS)
    assert (found := not_ok(large)) == [], found


def test_an_image_on_9p_which_pins_pages_without_o_direct_gives_no_io_error(report: Report) -> None:
    assert (found := not_ok(chosen(report, PATCHED, store=SHARE))) == [], found


def test_buffered_requests_succeed(report: Report) -> None:
    assert (found := not_ok(chosen(report, PATCHED, store=BLOCK_DEVICE, cache="writeback"))) == [], found


def test_nothing_else_in_memory_or_on_the_disks_has_changed(report: Report) -> None:
    assert report.differences == [], report.differences


def test_stock_fails_in_every_virtio_request_of_more_than_its_bounce_buffer(report: Report) -> None:
    virtio = [outcome for outcome in chosen(report, STOCK) if outcome.case.device.startswith("virtio")]
    larger = [outcome for outcome in virtio if outcome.case.size > 4 * KIB]
    assert (len(larger), len(virtio)) == (156, 204)
    assert {outcome.verdict for outcome in larger} == {LOST_DEVICE}


def test_stock_makes_of_every_request_what_its_bounce_buffer_allows(report: Report) -> None:
    wrong = [
        sentence(outcome)
        for outcome in chosen(report, STOCK)
        if outcome.verdict != expected_of_stock(outcome.case)
    ]
    assert wrong == [], wrong


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pointer_into_the_bar_makes_io_errors_of_o_direct(report: Report, engine: str) -> None:
    made = chosen(report, DIRECT, cache="none", aio=engine)
    assert {outcome.case.device for outcome in made} == DEVICES
    assert {outcome.verdict for outcome in made} == {IO_ERROR}
    assert report.unexpected(DIRECT, expected_of_direct) == []


def test_a_pointer_into_the_bar_does_for_buffered_requests(report: Report) -> None:
    assert (found := not_ok(chosen(report, DIRECT, cache="writeback"))) == [], found
