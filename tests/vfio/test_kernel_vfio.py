# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-blk requests into a BAR that the kernel's vfio-pci has assigned: what the patched emulator must do.

One outer VM is run for all of these tests. The emulators are named by environment variables:
RAM_DEVICE_PATCHED, and RAM_DEVICE_STOCK for the tests that show the bug.
"""

from __future__ import annotations

from typing import Any

import pytest

from machines import emulators
from vfio import demonstrate
from vfio.demonstrate import PATCHED, STOCK, Report
from vfio.inside import ASSIGNED
from vfio.transfers import (
    DESCRIPTOR_COUNTS,
    DIRECTIONS,
    FILE_SIZE,
    KIB,
    LOST_DEVICE,
    OK,
    SIZES,
    TO_BAR,
    TO_DISK,
    Compared,
    Memory,
)

BOUNCE_BUFFER = 4 * KIB
IVSHMEM_REGISTER_BAR, IVSHMEM_MEMORY_BAR = 0, Memory().bar
FITTING = [size for size in SIZES if size <= BOUNCE_BUFFER]
TOO_LARGE = [size for size in SIZES if size > BOUNCE_BUFFER]
DIRECT, NOT_MAPPED = "direct", "not mapped"
WHY_NOT_MAPPED = "x-no-mmap=on keeps it from being mapped, remove that"
KNOWN_MESSAGE = "virtio: bogus descriptor or out of resources"


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What one run of the outer VM has shown."""
    patched = emulators.wanted("patched")
    emulators.want_outer_vm()
    compared = demonstrate.compared(patched, emulators.given("stock"))
    compared.append(Compared(DIRECT, patched.resolve(), "x-ram-device-direct=on"))
    compared.append(Compared(NOT_MAPPED, patched.resolve(), "x-no-mmap=on", (TOO_LARGE[0],), is_interrupted=True))
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
    (line,) = (line for line in report.bar_lines[variant] if f"BAR {index} mmaps" in line)
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
    assert stock.savevm.keys() == {STOCK, DIRECT, NOT_MAPPED, PATCHED}
    for answer in stock.savevm.values():
        assert answer == stock.savevm[STOCK]
        assert "VFIO migration is not supported in kernel" in answer


def memory_bar(report: Report, variant: str) -> dict[str, Any]:
    """What the property `bars` says of the BAR that the requests were into."""
    (bar,) = (bar for bar in report.bars[variant] if bar["bar"] == IVSHMEM_MEMORY_BAR)
    return bar


def bytes_moved(report: Report, variant: str, direction: str) -> int:
    return sum(made.transfer.size for made in report.of(variant, direction))


def test_bars_counts_each_byte_that_went_through_a_buffer(report: Report) -> None:
    bar = memory_bar(report, PATCHED)
    (part,) = bar["mapped"]
    assert "not-mapped" not in bar
    assert (part["offset"], part["size"], part["bounced"], part["read-only"]) == (0, bar["size"], True, False)
    assert part["bytes-read"] == bytes_moved(report, PATCHED, TO_DISK) > 0
    assert part["bytes-written"] == bytes_moved(report, PATCHED, TO_BAR) > 0
    assert (part["waits"], part["refusals"], part["faults"], part["memory-errors"]) == (0, 0, 0, 0)


def test_bars_tells_a_direct_bar_through_which_nothing_was_bounced(report: Report) -> None:
    (part,) = memory_bar(report, DIRECT)["mapped"]
    assert not part["bounced"]
    assert (part["bytes-read"], part["bytes-written"]) == (0, 0)


def test_bars_and_info_mtree_tell_why_a_bar_is_not_mapped(report: Report) -> None:
    bar = memory_bar(report, NOT_MAPPED)
    assert (bar["mapped"], bar["not-mapped"]) == ([], WHY_NOT_MAPPED)
    (line,) = (line for line in report.bar_lines[NOT_MAPPED] if line.endswith(f"[{WHY_NOT_MAPPED}]")
               and f"BAR {IVSHMEM_MEMORY_BAR} " in line)  # fmt: skip
    assert ", i/o)" in line


def mapped_by_the_doctor(report: Report, variant: str) -> list[tuple[int, int]]:
    """The offset and size of each part of the memory's BAR that tools/doctor.py has found to be mapped."""
    told = report.doctor[variant].json()
    (device,) = (device for device in told["passed_through"] if device["path"] == ASSIGNED)
    (bar,) = (bar for bar in device["bars"] if bar["number"] == IVSHMEM_MEMORY_BAR)
    return [(part["offset"], part["size"]) for part in bar["parts"]]


def the_doctor_says(report: Report, variant: str, *texts: str) -> None:
    verdicts = "\n".join(finding["verdict"] for finding in report.doctor[variant].json()["findings"])
    for text in texts:
        assert text in verdicts


def test_the_doctor_says_that_all_is_well_with_the_series(report: Report) -> None:
    assert report.doctor[PATCHED].status == 0, report.doctor[PATCHED]
    the_doctor_says(report, PATCHED, "All is well")
    assert mapped_by_the_doctor(report, PATCHED) == [(0, FILE_SIZE)]


def test_the_doctor_says_of_stock_that_the_disk_will_be_lost(stock: Report) -> None:
    assert stock.doctor[STOCK].status == 1, stock.doctor[STOCK]
    the_doctor_says(stock, STOCK, "(virtio-blk) will be lost", KNOWN_MESSAGE)
    assert mapped_by_the_doctor(stock, STOCK) == [(0, FILE_SIZE)]


def test_the_doctor_tells_pointers_and_why_a_bar_is_not_mapped(report: Report) -> None:
    assert (report.doctor[DIRECT].status, report.doctor[NOT_MAPPED].status) == (1, 1)
    the_doctor_says(report, DIRECT, "x-ram-device-direct=on")
    assert mapped_by_the_doctor(report, DIRECT) == [(0, FILE_SIZE)]
    the_doctor_says(report, NOT_MAPPED, f"BAR {IVSHMEM_MEMORY_BAR} of assigned", WHY_NOT_MAPPED)
    assert mapped_by_the_doctor(report, NOT_MAPPED) == []


def test_a_refused_request_names_the_bar_the_device_and_what_to_do(report: Report) -> None:
    for direction in DIRECTIONS:
        for failed in report.of(NOT_MAPPED, direction):
            assert failed.verdict == LOST_DEVICE
            refused, known = failed.message.splitlines()[-2:]
            assert known.endswith(KNOWN_MESSAGE)
            assert f"BAR {IVSHMEM_MEMORY_BAR}' of vfio-pci 'assigned' is not memory" in refused
            assert refused.endswith(WHY_NOT_MAPPED)


def test_a_request_that_is_refused_after_intx_names_the_bar_and_what_to_do(report: Report) -> None:
    assert report.interrupted["before"] == "None"
    assert report.interrupted["why"] == "it isn't mapped after an INTx interrupt, let the guest use MSI"
    refused, known = report.interrupted["outcome"].splitlines()[-2:]
    assert known.endswith(KNOWN_MESSAGE)
    assert "BAR 0' of vfio-pci 'assigned' is not memory" in refused
    assert refused.endswith(report.interrupted["why"])
