# SPDX-License-Identifier: GPL-2.0-or-later
"""What the checker says of emulators: of Debian's newest, of RAM_DEVICE_PATCHED and of RAM_DEVICE_STOCK."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

from conftest import Run
from findings import AFFECTED, BLK, FINE, FROM_BAR, LOST_DEVICE, NET, NVME, OK, SCSI, TO_BAR, WRONG
from storage import SIZES

KNOWN_MESSAGE = "virtio: bogus descriptor or out of resources"
BOUNCE_BUFFER = 4096
SECTOR = 512


def verdicts(found: dict[str, Any], device: str, fits: Callable[[int], bool] = lambda size: True) -> set[str]:
    """What became of a device's requests of these sizes."""
    return {made["verdict"] for made in found["requests"] if made["device"] == device and fits(made["size"])}


def is_stock_bug(run: Run, devices: Set[str] = frozenset({BLK, SCSI, NVME, NET})) -> None:
    """What a bounce buffer of 4096 bytes makes of it."""
    assert run.status == AFFECTED, run.errors
    found = run.json()
    assert not found["fine"]
    limit = found["limit"]
    assert (limit["works"], limit["fails"], limit["verdict"]) == (BOUNCE_BUFFER, BOUNCE_BUFFER + SECTOR, LOST_DEVICE)
    assert KNOWN_MESSAGE in limit["message"]
    assert verdicts(found, BLK, lambda size: size <= BOUNCE_BUFFER) == {OK}
    assert verdicts(found, BLK, lambda size: size > BOUNCE_BUFFER) == {LOST_DEVICE}
    assert {made["device"] for made in found["requests"]} == devices
    assert verdicts(found, NET, lambda size: size > BOUNCE_BUFFER) == ({LOST_DEVICE} if NET in devices else set())
    assert found["verdict"].count("affected") == 1 and "Remedy" in found["remedy"]


def test_debians_newest_is_found_affected_from_4608_bytes_on_with_the_known_message(newest: Run) -> None:
    is_stock_bug(newest)


def test_every_size_is_tried_in_both_directions(newest: Run) -> None:
    tried = [(made["size"], made["direction"]) for made in newest.json()["requests"] if made["device"] == BLK]
    assert tried == [(size, direction) for size in SIZES for direction in (TO_BAR, FROM_BAR)]


def test_wrong_contents_are_found(newest: Run) -> None:
    """virtio-scsi maps its data twice: the second bounce buffer overwrites what was read through the first."""
    reads = {made["size"]: made["verdict"] for made in newest.json()["requests"]
             if made["device"] == SCSI and made["direction"] == TO_BAR}  # fmt: skip
    assert reads[SECTOR] == WRONG


def test_a_raised_bounce_buffer_is_offered_as_a_remedy_where_it_is_one(newest: Run) -> None:
    outcomes: dict[str, list[tuple[int, str]]] = {}
    for made in newest.json()["raised_bounce_buffer"]:
        outcomes.setdefault(made["device"], []).append((made["size"], made["verdict"]))
    assert outcomes[BLK] == [(8192, OK)] * 2 + [(1 << 20, OK)] * 2
    assert outcomes[NET] == [(8192, OK)] * 2
    assert outcomes[SCSI] == [(8192, WRONG), (8192, OK), (1 << 20, WRONG), (1 << 20, OK)]
    remedy = newest.json()["remedy"]
    assert "iommu_platform=on on each virtio-blk and virtio-net" in remedy
    assert "does not help virtio-scsi (wrong contents)" in remedy


def all_that_does_not_depend_on_the_bug(run: Run) -> None:
    found = run.json()
    assert (others := [check for check in found["checks"] if check["is_ok"] is not True]) == [], others
    assert len(found["checks"]) == 6
    assert [line.partition(":")[0] for line in found["region"]] == ["mmaps[0]", "mmaps[1]"]
    assert found["ratio"] > 0


def test_an_affected_emulator_with_few_devices_in_a_talkative_wrapper_is_found_so(wrapped: Run) -> None:
    is_stock_bug(wrapped, devices={BLK, NVME})
    all_that_does_not_depend_on_the_bug(wrapped)
    assert {made["device"] for made in wrapped.json()["raised_bounce_buffer"]} == {BLK}
    assert "iommu_platform=on on each virtio-blk (all data" in wrapped.json()["remedy"]


def test_dma_interrupt_and_exactness_of_debians_newest_are_fine(newest: Run) -> None:
    all_that_does_not_depend_on_the_bug(newest)


def is_fine(run: Run, region: str) -> None:
    """Everything works, in a region that info mtree calls so."""
    assert run.status == FINE, run.printed + run.errors
    found = run.json()
    assert found["fine"] and found["limit"] is None and found["remedy"] == ""
    assert {made["verdict"] for made in [*found["requests"], *found["o_direct"]]} == {OK}
    assert {line.partition(": ")[2] for line in found["region"]} == {region}
    all_that_does_not_depend_on_the_bug(run)


def test_an_emulator_with_the_series_is_found_fine(patched: Run) -> None:
    is_fine(patched, "ramd")


def test_an_emulator_that_gives_pointers_is_found_fine(direct: Run) -> None:
    is_fine(direct, "ramd, direct")


def test_the_same_emulator_without_the_series_is_found_affected(stock: Run) -> None:
    is_stock_bug(stock)
    all_that_does_not_depend_on_the_bug(stock)
