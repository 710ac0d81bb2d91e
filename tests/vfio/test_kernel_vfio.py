# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-blk requests into a BAR that the kernel's vfio-pci has assigned: what the patched emulator must do.

One outer VM is run for all of these tests. The emulators are named by environment variables:
RAM_DEVICE_PATCHED, and RAM_DEVICE_STOCK for the tests that show the bug.
"""

from __future__ import annotations

import demonstrate
import pytest
from demonstrate import PATCHED, STOCK, Report
from inside import IVSHMEM_MEMORY_BAR, IVSHMEM_REGISTER_BAR
from machines import emulators
from transfers import DESCRIPTOR_COUNTS, DIRECTIONS, KIB, LOST_DEVICE, OK, SIZES, TO_BAR, TO_DISK

BOUNCE_BUFFER = 4 * KIB
FITTING = [size for size in SIZES if size <= BOUNCE_BUFFER]
TOO_LARGE = [size for size in SIZES if size > BOUNCE_BUFFER]
DIRECT = "direct"
KNOWN_MESSAGE = "virtio: bogus descriptor or out of resources"


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What one run of the outer VM has shown."""
    patched = emulators.wanted("patched")
    emulators.want_outer_vm()
    compared = demonstrate.compared(patched, emulators.given("stock"))
    compared.append((DIRECT, patched.resolve(), "x-ram-device-direct=on"))
    return demonstrate.run(compared, tmp_path_factory.mktemp("vfio"), print)


@pytest.fixture
def stock(report: Report) -> Report:
    """The same, if there was a stock emulator to compare with."""
    if not report.of(STOCK):
        pytest.skip("RAM_DEVICE_STOCK names no emulator to compare with")
    return report


def verdicts(report: Report, variant: str, direction: str, size: int) -> dict[int, str]:
    """The verdict for each number of descriptors that such a request was made of."""
    return {made.transfer.descriptors: made.verdict for made in report.of(variant, direction, size)}


def line_of_bar(index: int, report: Report, variant: str) -> str:
    """The line of `info mtree` that shows the memory of this BAR."""
    (line,) = (line for line in report.bar_lines[variant] if f"BAR {index} " in line)
    return line


def all_are(verdict: str) -> dict[int, str]:
    return dict.fromkeys(DESCRIPTOR_COUNTS, verdict)


@pytest.mark.parametrize("size", SIZES)
def test_patched_reads_from_the_disk_into_the_bar(report: Report, size: int) -> None:
    assert verdicts(report, PATCHED, TO_BAR, size) == all_are(OK)


@pytest.mark.parametrize("size", SIZES)
def test_patched_writes_from_the_bar_to_the_disk(report: Report, size: int) -> None:
    assert verdicts(report, PATCHED, TO_DISK, size) == all_are(OK)


def test_the_host_finds_in_bar_and_disk_just_what_the_requests_that_succeeded_have_moved(report: Report) -> None:
    assert report.differences == [], report.differences


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("size", FITTING)
def test_stock_makes_requests_that_fit_its_bounce_buffer(stock: Report, size: int, direction: str) -> None:
    assert verdicts(stock, STOCK, direction, size) == all_are(OK)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("size", TOO_LARGE)
def test_stock_loses_the_device_to_larger_requests_with_the_known_message(
    stock: Report, size: int, direction: str
) -> None:
    assert verdicts(stock, STOCK, direction, size) == all_are(LOST_DEVICE)
    for failed in stock.of(STOCK, direction, size):
        assert failed.message.endswith(KNOWN_MESSAGE)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("size", SIZES)
def test_direct_makes_every_request_through_the_page_cache(report: Report, size: int, direction: str) -> None:
    assert verdicts(report, DIRECT, direction, size) == all_are(OK)


@pytest.mark.parametrize("index", [IVSHMEM_REGISTER_BAR, IVSHMEM_MEMORY_BAR])
def test_info_mtree_tells_a_direct_bar_from_others_whatever_is_in_it(report: Report, index: int) -> None:
    assert ", ramd)" in line_of_bar(index, report, PATCHED)
    assert ", ramd, direct)" in line_of_bar(index, report, DIRECT)


def test_savevm_is_refused_by_the_assigned_device_as_on_stock(stock: Report) -> None:
    assert stock.savevm.keys() == {STOCK, DIRECT, PATCHED}
    for answer in stock.savevm.values():
        assert answer == stock.savevm[STOCK]
        assert "VFIO migration is not supported in kernel" in answer
