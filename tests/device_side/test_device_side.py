# SPDX-License-Identifier: GPL-2.0-or-later
"""What the device behind a BAR sees of the patched emulator's accesses: what the contract says.

One outer VM is run for all of these tests. The emulators are named by environment variables:
RAM_DEVICE_PATCHED, and RAM_DEVICE_STOCK for the tests that show that another emulator is found out.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from device_side import observe
from device_side.accesses import (
    BULK,
    MEANS,
    REQUEST,
    RING_AREA,
    SECTOR,
    SINGLE,
    Action,
    actions,
    requests,
    ring_requests,
    scsi_request,
)
from device_side.contract import contract, stock_dispatch
from device_side.outer_trace import Access, Seen
from device_side.planned import DIRECT, PATCHED, STOCK, TRACE_FILE, instructions
from device_side.report import Model, Report
from drivers.virtio import PARTS, QUEUE_SIZE
from machines import emulators, outer_vm

# QEMU's version, as Debian 12 has it.
KNOWN_CPU = "7.2"
OURS = (PATCHED, DIRECT)
GUESTS = (SINGLE, BULK)
# How many reads and writes are made by each means.
PLANNED = {SINGLE: (32, 32), BULK: (547, 546), REQUEST: (32, 32)}
# Where the queue's parts are in it.
DESCRIPTORS, AVAILABLE, USED = (part * QUEUE_SIZE for part in PARTS)


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What one run of the outer VM has shown."""
    patched = emulators.wanted("patched")
    emulators.want_outer_vm()
    work = tmp_path_factory.mktemp("device-side")
    made = observe.run(patched, emulators.given("stock"), work, print)
    (work / TRACE_FILE).unlink()  # 100 MB, and pytest keeps the folder
    return made


@pytest.fixture
def with_stock(report: Report) -> Report:
    """The same, if there was a stock emulator to compare with."""
    if STOCK not in report.observed:
        pytest.skip("RAM_DEVICE_STOCK names no emulator to compare with")
    return report


@pytest.fixture
def with_stock_on_a_known_cpu(with_stock: Report, tmp_path: Path) -> Report:
    """The same, where the outer VM's CPU makes of a misaligned access what the tests say; the patched makes none."""
    outer = outer_vm.emulator(outer_vm.USUAL, tmp_path)
    printed = subprocess.run([outer, "--version"], text=True, capture_output=True, check=True).stdout
    if not printed.startswith(f"QEMU emulator version {KNOWN_CPU}."):
        pytest.skip(f"the CPU of {printed.splitlines()[0]} makes other accesses of misaligned ones than {KNOWN_CPU}'s")
    return with_stock


def chosen(means: str, store: bool) -> list[Action]:
    """The actions of this kind."""
    found = [action for action in actions() if (action.means, action.store) == (means, store)]
    assert len(found) == PLANNED[means][store]
    return found


def complaints(report: Report, name: str, among: list[Action], model: Model) -> list[str]:
    """Where the emulator's accesses aren't those of the model; the first few."""
    return [text for action in among if (text := report.complaint(name, action, model))][:5]


@pytest.mark.parametrize(("name", "shown"), [(PATCHED, "ramd"), (DIRECT, "ramd, direct")])
def test_the_devices_bar_is_mapped_and_direct_if_it_is_to_be(report: Report, name: str, shown: str) -> None:
    bars = [line for line in report.observed[name].bar_lines if "BAR 2" in line]
    assert len(bars) == 1
    assert f", {shown}): " in bars[0]


def test_an_aligned_instruction_is_one_access_of_its_width_to_the_device(report: Report) -> None:
    aligned = [access for access in instructions() if access.offset % access.width == 0]
    assert len(aligned) == 2 * (8 + 4 + 2 + 1)
    assert {access: report.instructions[access] for access in aligned} == {access: [access] for access in aligned}


def test_a_misaligned_instruction_is_split_by_the_outer_cpu_into_accesses_of_the_same_kind(report: Report) -> None:
    misaligned = [access for access in instructions() if access.offset % access.width]
    assert len(misaligned) == 2 * (4 + 6 + 7)
    for access in misaligned:
        seen = report.instructions[access]
        assert len(seen) > 1
        assert {one.store for one in seen} == {access.store}
        touched = {byte for one in seen for byte in range(one.offset, one.offset + one.width)}
        assert touched >= set(range(access.offset, access.offset + access.width))


@pytest.mark.parametrize("store", [False, True], ids=["reads", "writes"])
@pytest.mark.parametrize("means", GUESTS)
@pytest.mark.parametrize("name", OURS)
def test_the_device_sees_of_a_guests_access_what_the_contract_says(
    report: Report, name: str, means: str, store: bool
) -> None:
    assert (found := complaints(report, name, chosen(means, store), contract)) == [], found


@pytest.mark.parametrize("store", [False, True], ids=["fills", "flushes"])
def test_a_buffer_is_copied_as_the_contract_says(report: Report, store: bool) -> None:
    assert (found := complaints(report, PATCHED, chosen(REQUEST, store), contract)) == [], found


def test_a_buffer_that_is_shared_is_read_again_as_the_contract_says(report: Report) -> None:
    assert report.complaint(PATCHED, scsi_request(), contract) == ""


@pytest.mark.parametrize("store", [False, True], ids=["fills", "flushes"])
def test_a_buffer_is_copied_in_one_ascending_pass_and_each_byte_once(report: Report, store: bool) -> None:
    checked = 0
    for request in chosen(REQUEST, store):
        if any(piece.length in (2, 4, 8) and piece.offset % piece.length for piece in request.pieces):
            continue  # the outer CPU splits that access
        checked += 1
        seen = report.observed[PATCHED].accesses(request)
        touched = [byte for one in seen for byte in range(one.offset, one.offset + one.width)]
        assert touched == [piece.offset + i for piece in request.pieces for i in range(piece.length)]
        assert {one.store for one in seen} == {store}
    assert checked == 25


@pytest.mark.parametrize("store", [False, True], ids=["fills", "flushes"])
def test_an_aligned_sector_is_64_accesses_of_8_bytes_and_by_a_pointer_many_of_1(report: Report, store: bool) -> None:
    """The outer kernel's `rep movsb` goes by the pointer."""
    asked = [r for r in chosen(REQUEST, store) if [(p.offset % 8, p.length) for p in r.pieces] == [(0, SECTOR)]]
    assert len(asked) == 1
    for request in asked:
        assert [one.width for one in report.observed[PATCHED].accesses(request)] == [8] * (SECTOR // 8)
        by_pointer = [one.width for one in report.observed[DIRECT].accesses(request)]
        assert set(by_pointer) == {1} and len(by_pointer) >= SECTOR


@pytest.mark.parametrize("name", OURS)
def test_reads_give_what_the_bar_holds_and_the_disk_gets_it(report: Report, name: str) -> None:
    assert report.observed[name].wrong_reads == [], report.observed[name].wrong_reads
    to_disk = [request for request in requests() if not request.store]
    assert len(to_disk) == 32
    assert (found := [r.number for r in to_disk if report.on_disk(name, r, report.disk_after) != r.data()]) == [], found


def test_requests_into_a_direct_bar_store_each_byte_and_the_disks_data(report: Report) -> None:
    """The outer kernel's copy routine stores them: its widths, and what it reads before, are not ours to say."""
    for request in chosen(REQUEST, store=True):
        stored = {}
        for access, data in report.observed[DIRECT].seen[request.number]:
            if access.store:
                stored.update({access.offset + i: byte for i, byte in enumerate(data)})
        addresses = [piece.offset + i for piece in request.pieces for i in range(piece.length)]
        assert stored == dict(zip(addresses, report.data(DIRECT, request), strict=True))


@pytest.mark.parametrize("name", OURS)
def test_of_a_queue_in_the_bar_each_field_is_accessed_as_one_transfer(report: Report, name: str) -> None:
    assert len(ring_requests()) == 3
    for turn, number in enumerate(ring_requests()):
        seen = [one.access for one in report.observed[name].seen[number]]

        def transfers(store: bool, *fields: tuple[int, int]) -> list[Access]:
            """What the device sees of them; fields are offsets in the queue, and lengths."""
            made = [access for at, length in fields for access in contract(RING_AREA + at, length, store)]
            return [access for one in made for access in report.through_the_outer_cpu(one)]

        flags, element, index = (USED, 2), (USED + 4 + 8 * turn, 8), (USED + 2, 2)
        assert [one for one in seen if one.store] == transfers(True, flags, flags, element, index)
        loads = [one for one in seen if not one.store]
        descriptors = transfers(False, *((DESCRIPTORS + 16 * i, 16) for i in range(3)))
        assert [one for one in loads if one.offset < RING_AREA + AVAILABLE] == descriptors
        others = transfers(False, (AVAILABLE, 2), (AVAILABLE + 2, 2), (AVAILABLE + 4 + 2 * turn, 2), flags)
        assert set(loads) - set(descriptors) == set(others)


@pytest.mark.parametrize("name", OURS)
def test_realize_hot_plug_and_reset_leave_the_bar_alone(report: Report, name: str) -> None:
    assert (found := report.observed[name].while_starting()) == [], found


@pytest.mark.parametrize("store", [False, True], ids=["reads", "writes"])
@pytest.mark.parametrize("means", MEANS)
def test_stock_is_found_out_wherever_it_makes_other_accesses(
    with_stock_on_a_known_cpu: Report, means: str, store: bool
) -> None:
    """Stock makes misaligned accesses of 8 bytes where a transfer begins at an odd address."""
    with_stock, asked = with_stock_on_a_known_cpu, chosen(means, store)
    others = {
        action.number
        for action in asked
        if with_stock.expected(action, stock_dispatch) != with_stock.expected(action, contract)
    }
    assert (means == SINGLE) == (not others)
    assert {a.number for a in asked if with_stock.complaint(STOCK, a, contract)} == others
    assert (found := complaints(with_stock, STOCK, asked, stock_dispatch)) == [], found


def test_stock_reads_bytes_twice_and_beyond_what_was_asked(with_stock_on_a_known_cpu: Report) -> None:
    """Through this CPU, which makes two aligned loads of a misaligned one."""
    with_stock = with_stock_on_a_known_cpu
    asked = [a for a in chosen(BULK, store=False) if a.length == 12 and a.pieces[0].offset % 8 == 1]
    (action,) = asked
    begin = action.pieces[0].offset - 1
    made = [(one.offset - begin, one.width) for one in with_stock.observed[STOCK].accesses(action)]
    assert made == [(0, 8), (8, 8), (8, 4), (12, 4)]
    made = [(one.offset - begin, one.width) for one in with_stock.observed[PATCHED].accesses(action)]
    assert made == [(1, 1), (2, 2), (4, 4), (8, 4), (12, 1)]


def descending(offset: int, length: int, store: bool) -> list[Access]:
    return contract(offset, length, store)[::-1]


def last_access_twice(offset: int, length: int, store: bool) -> list[Access]:
    made = contract(offset, length, store)
    return made + made[-1:]


def first_byte_skipped(offset: int, length: int, store: bool) -> list[Access]:
    return contract(offset + 1, length - 1, store) if length else []


def single_accesses_split(offset: int, length: int, store: bool) -> list[Access]:
    """By C2, as on aarch64: the access of 2, 4 or 8 bytes as two halves."""
    if length not in (2, 4, 8):
        return contract(offset, length, store)
    half = length // 2
    return [*contract(offset, half, store), *contract(offset + half, half, store)]


@pytest.mark.parametrize("wrong", [descending, last_access_twice, first_byte_skipped, single_accesses_split])
def test_a_wrong_expectation_is_reported(report: Report, wrong: Callable[[int, int, bool], list[Access]]) -> None:
    for store in (False, True):
        asked = chosen(BULK, store)
        differing = [action for action in asked if report.expected(action, wrong) != report.expected(action, contract)]
        assert differing
        for action in asked:
            assert bool(report.complaint(PATCHED, action, wrong)) == (action in differing)


def test_a_wrong_byte_or_a_load_among_the_stores_is_reported(report: Report) -> None:
    action = chosen(BULK, store=True)[-1]
    observed = report.observed[PATCHED]
    *others, (access, data) = observed.seen[action.number]
    for last in (Seen(access, bytes([data[0] ^ 1]) + data[1:]), Seen(access._replace(store=False), data)):
        seen = {**observed.seen, action.number: [*others, last]}
        changed = replace(report, observed={**report.observed, PATCHED: replace(observed, seen=seen)})
        assert report.complaint(PATCHED, action, contract) == ""
        assert changed.complaint(PATCHED, action, contract)
