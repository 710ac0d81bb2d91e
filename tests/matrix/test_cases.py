# SPDX-License-Identifier: GPL-2.0-or-later
"""The matrix is what it is said to be: its combinations are counted, and none is there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from matrix import places, selection
from matrix.cases import (
    disks,
    expected_of_direct,
    expected_of_stock,
    is_possible,
    other_cases,
    storage_cases,
)
from matrix.dimensions import (
    BARS,
    BLK,
    BORDERS,
    CACHES,
    E1000E,
    ENGINES,
    ENTROPY,
    FORMATS,
    IO_ERROR,
    LARGE_REQUESTS,
    LIST,
    LIST_ODD,
    LOST_DEVICE,
    LOWER,
    LOWER_TO_RAM,
    NET,
    NVME,
    O_DIRECT,
    ODD,
    OK,
    PACKETS,
    PLACES,
    RAM_TO_UPPER,
    READ,
    RNG,
    SCSI,
    STORAGE_DEVICES,
    STORAGE_REQUESTS,
    UPPER_ODD,
    USB,
    WRITE_ZEROES,
    Case,
    Requests,
)
from matrix.jobs import Job
from matrix.machine import DIRECT, PATCHED, STOCK, Variant
from matrix.stores import BLOCK_DEVICE, FILE

pytestmark = pytest.mark.quick


def requests(table: Requests) -> int:
    return sum(len(places) * len(sizes) * len(operations) for places, sizes, operations in table)


def test_every_disk_is_a_product_of_cache_engine_and_format_that_qemu_can_start() -> None:
    made = {(disk.format, disk.cache, disk.aio) for disk in disks(FILE)}
    product = {(format, cache, aio) for format in FORMATS for cache in CACHES for aio in ENGINES}
    assert len(product) == 24
    assert product - made == {(format, cache, "native") for format in FORMATS for cache in ("writeback", "unsafe")}
    assert all(is_possible(cache, aio) for _, cache, aio in made)


def test_every_device_makes_every_request_to_every_disk_once() -> None:
    cases = [case for disk in disks(FILE) for case in storage_cases(disk)]
    assert max(Counter(cases).values()) == 1
    zeroes = sum(len(places) for places, _, operations in STORAGE_REQUESTS if WRITE_ZEROES in operations)
    for disk in disks(FILE):
        large = requests(LARGE_REQUESTS) if (disk.format, disk.cache) == ("raw", "none") else 0
        all_of_them = requests(STORAGE_REQUESTS) + large
        counts = Counter(case.device for case in storage_cases(disk))
        assert counts[BLK] == all_of_them
        assert counts[NVME] == all_of_them - (zeroes - 1)
        assert counts[SCSI] == counts[USB] == all_of_them
        assert set(counts) == set(STORAGE_DEVICES)


def test_the_other_devices_make_every_request_once() -> None:
    cases = other_cases()
    assert max(Counter(cases).values()) == 1
    counts = Counter(case.device for case in cases)
    receives_in_lists = 1
    assert counts == {
        NET: requests(PACKETS),
        E1000E: requests(PACKETS) - receives_in_lists,
        RNG: requests(ENTROPY),
    }


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", [8192, 16384, 65536])
def test_the_pieces_of_a_place_add_up_and_do_not_overlap(place: str, size: int) -> None:
    pieces = sorted(places.pieces(place, size, 4096))
    assert sum(length for _, length in pieces) == size
    assert all(begin + length <= after for (begin, length), (after, _) in pairwise(pieces))
    assert pieces[0][0] >= places.LOWER_BEGIN
    assert sum(pieces[-1]) <= places.END


def test_both_bars_get_the_same_requests() -> None:
    cases = other_cases() + [case for disk in disks(FILE) for case in storage_cases(disk)]

    def of(place: str) -> set[Case]:
        """The requests in this place, but those that are known to have no place."""
        return {
            replace(case, place="")
            for case in cases
            if case.place == place and (case.device, case.operation) != (NVME, WRITE_ZEROES)
        }

    assert [len(of(lower)) for lower, _ in (BARS, ODD, BORDERS)] == [1025, 209, 594]
    for lower, upper in (BARS, ODD, BORDERS):
        assert of(lower) == of(upper)


def test_as_many_combinations_are_planned_as_the_documents_say() -> None:
    patched, stock, direct = (Variant(name, "emulator") for name in (PATCHED, STOCK, DIRECT))

    def counts(todo: Sequence[Job]) -> dict[str, tuple[int, int]]:
        """For each emulator the requests of storage devices and those of others."""
        sums = {job.variant.name: [0, 0] for job in todo}
        for job in todo:
            sums[job.variant.name][job.disk is None] += len(job.cases)
        return {name: (storage, others) for name, (storage, others) in sums.items()}

    assert counts(selection.on_host([patched])) == {PATCHED: (4360, 81)}
    everywhere = {PATCHED: (8780, 81), STOCK: (7704, 81), DIRECT: (8780, 81)}
    assert counts(selection.in_vm(patched, [stock, direct])) == everywhere
    in_check = {PATCHED: (880, 0), STOCK: (272, 0), DIRECT: (248, 0)}
    assert counts(selection.in_vm_for_check_all(patched, [stock, direct])) == in_check


def test_half_of_what_crosses_a_border_lies_on_each_side() -> None:
    for place in BORDERS:
        assert places.bytes_in_bars(place, 8192) == 4096
        assert len(places.pieces(place, 8192, 4096)) == 1


def test_what_lies_in_bars_is_counted() -> None:
    assert {place: places.bytes_in_bars(place, 16384) for place in (*BARS, *ODD, LIST, LIST_ODD)} == {
        **dict.fromkeys((*BARS, *ODD), 16384),
        LIST: 16384 * 5 // 8,
        LIST_ODD: 16384 - places.ODD_RAM,
    }


def test_stock_loses_a_virtio_request_when_it_is_larger_than_the_bounce_buffer_and_not_before() -> None:
    for place in BARS:
        for size, verdict in ((4096, OK), (8192, LOST_DEVICE)):
            assert expected_of_stock(Case(BLK, READ, place, size, None)) == verdict


def test_a_pointer_fails_where_the_kernel_would_pin_pages_of_the_bar() -> None:
    for disk in disks(BLOCK_DEVICE, ("raw",)):
        pins = disk.cache in O_DIRECT
        for place, verdict in ((LOWER, IO_ERROR), (LOWER_TO_RAM, IO_ERROR), (UPPER_ODD, OK), (RAM_TO_UPPER, None)):
            assert expected_of_direct(Case(BLK, READ, place, 4096, disk)) == (verdict if pins else OK)
        assert expected_of_direct(Case(USB, READ, LOWER, 4096, disk)) == OK
        assert expected_of_direct(Case(BLK, WRITE_ZEROES, LOWER, 4096, disk)) == OK
