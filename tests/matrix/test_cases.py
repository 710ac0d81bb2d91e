# SPDX-License-Identifier: GPL-2.0-or-later
"""The matrix is what it is said to be: its combinations are counted, and none is there twice."""

from __future__ import annotations

from collections import Counter

import places
import pytest
from cases import disks, expected, expected_of_stock, is_possible, other_cases, storage_cases
from dimensions import (
    BLK,
    CACHES,
    E1000E,
    ENGINES,
    ENTROPY,
    FORMATS,
    LARGE_REQUESTS,
    LIST,
    LIST_ODD,
    LOST_DEVICE,
    MEMORY,
    MEMORY_ODD,
    NET,
    NVME,
    OK,
    PACKETS,
    RAM_TO_MEMORY,
    READ,
    REGISTER,
    REGISTER_TO_RAM,
    RNG,
    SCSI,
    STORAGE_DEVICES,
    STORAGE_REQUESTS,
    USB,
    WRITE_ZEROES,
    Case,
)
from stores import FILE

ALL_PLACES = (MEMORY, MEMORY_ODD, REGISTER, RAM_TO_MEMORY, REGISTER_TO_RAM, LIST, LIST_ODD)


def requests(table: tuple[tuple[str, tuple[int, ...], tuple[str, ...]], ...]) -> int:
    return sum(len(sizes) * len(operations) for _, sizes, operations in table)


def test_every_disk_is_a_product_of_cache_engine_and_format_that_qemu_can_start() -> None:
    made = {(disk.format, disk.cache, disk.aio) for disk in disks(FILE)}
    product = {(format, cache, aio) for format in FORMATS for cache in CACHES for aio in ENGINES}
    assert len(product) == 24
    assert product - made == {(format, cache, "native") for format in FORMATS for cache in ("writeback", "unsafe")}
    assert all(is_possible(cache, aio) for _, cache, aio in made)


def test_every_device_makes_every_request_to_every_disk_once() -> None:
    cases = [case for disk in disks(FILE) for case in storage_cases(disk)]
    assert max(Counter(cases).values()) == 1
    zeroes_without_data = sum(place != MEMORY and WRITE_ZEROES in asked for place, _, asked in STORAGE_REQUESTS)
    for disk in disks(FILE):
        large = requests(LARGE_REQUESTS) if (disk.format, disk.cache) == ("raw", "none") else 0
        all_of_them = requests(STORAGE_REQUESTS) + large
        counts = Counter(case.device for case in storage_cases(disk))
        assert counts[BLK] == all_of_them
        assert counts[NVME] == all_of_them - zeroes_without_data
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


@pytest.mark.parametrize("place", ALL_PLACES)
@pytest.mark.parametrize("size", [8192, 16384, 65536])
def test_the_pieces_of_a_place_add_up_and_do_not_overlap(place: str, size: int) -> None:
    pieces = sorted(places.pieces(place, size, 4096))
    assert sum(length for _, length in pieces) == size
    assert all(begin + length <= after for (begin, length), (after, _) in zip(pieces, pieces[1:], strict=False))
    assert pieces[0][0] >= places.REGISTER_BEGIN
    assert sum(pieces[-1]) <= places.END


def test_half_of_what_crosses_a_border_lies_on_each_side() -> None:
    assert places.bytes_in_bars(RAM_TO_MEMORY, 8192) == (0, 4096)
    assert places.bytes_in_bars(REGISTER_TO_RAM, 8192) == (4096, 0)
    assert len(places.pieces(RAM_TO_MEMORY, 8192, 4096)) == len(places.pieces(REGISTER_TO_RAM, 8192, 4096)) == 1


def test_every_request_must_succeed_but_what_an_e1000e_cannot_map_at_once() -> None:
    cases = other_cases() + [case for disk in disks(FILE) for case in storage_cases(disk)]
    assert {(case.device, case.place) for case in cases if expected(case) != OK} == {
        (E1000E, RAM_TO_MEMORY),
        (E1000E, REGISTER_TO_RAM),
    }


def test_stock_loses_a_virtio_request_when_it_is_larger_than_the_bounce_buffer_and_not_before() -> None:
    for place in (REGISTER, MEMORY):
        for size, verdict in ((4096, OK), (8192, LOST_DEVICE)):
            assert expected_of_stock(Case(BLK, READ, place, size, None)) == verdict
