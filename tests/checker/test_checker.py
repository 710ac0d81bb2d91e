# SPDX-License-Identifier: GPL-2.0-or-later
"""What the checker says of emulators: of Debian's newest, of RAM_DEVICE_PATCHED and of RAM_DEVICE_STOCK."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any

import pytest

from checker.conftest import Run
from checker.findings import (
    AFFECTED,
    BLK,
    BLK_O_DIRECT,
    BLK_SCANNED,
    DROPPED,
    FAILS,
    FINE,
    FROM_BAR,
    IO_ERROR,
    LOST_DEVICE,
    NET,
    NO_ANSWER,
    NVME,
    OK,
    SCSI,
    TO_BAR,
    WRONG,
)
from checker.storage import SIZES
from checker.unpinnable import SIZES as O_DIRECT_SIZES
from debian_qemu import has_upstreams_fix

KNOWN_MESSAGE = "virtio: bogus descriptor or out of resources"
BOUNCE_BUFFER = 4096
SECTOR = 512


def verdicts(found: dict[str, Any], device: str, fits: Callable[[int], bool] = lambda _: True) -> set[str]:
    """What became of a device's requests of these sizes."""
    return {made["verdict"] for made in found["requests"] if made["device"] == device and fits(made["size"])}


def outcomes(found: dict[str, Any], device: str) -> dict[tuple[int, str], str]:
    """What became of each of a device's requests."""
    made_by_it = [made for made in found["requests"] if made["device"] == device]
    return {(made["size"], made["direction"]): made["verdict"] for made in made_by_it}


def each_way(sizes: Iterable[int], verdict: str) -> dict[tuple[int, str], str]:
    return dict.fromkeys(((size, direction) for size in sizes for direction in (TO_BAR, FROM_BAR)), verdict)


# virtio-scsi maps its data twice: the second bounce buffer overwrites what was read through the first, and where both
# together are too large it waits for the other one without end.
SCSI_ON_STOCK = {
    (SECTOR, TO_BAR): WRONG,
    (SECTOR, FROM_BAR): OK,
    **each_way([BOUNCE_BUFFER], NO_ANSWER),
    **each_way([8192, 1 << 20], LOST_DEVICE),
}
NET_ON_STOCK = {**each_way([1024], OK), **each_way([8192], LOST_DEVICE)}


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
    assert verdicts(found, NVME) == {OK}
    for device, wanted in ((SCSI, SCSI_ON_STOCK), (NET, NET_ON_STOCK)):
        assert outcomes(found, device) == (wanted if device in devices else {})
    assert found["verdict"].count("affected") == 1 and "Remedy" in found["remedy"]


def test_a_qemu_without_the_series_is_found_affected_from_4608_bytes_on_with_the_known_message(affected: Run) -> None:
    is_stock_bug(affected)


def test_there_is_a_limit_before_upstreams_fix_and_none_from_it_on(unpatched: Run) -> None:
    assert unpatched.printed, unpatched.errors
    found = unpatched.json()
    has_fix = has_upstreams_fix(found["version"])
    assert (found["limit"] is None) == has_fix
    assert verdicts(found, BLK) == ({OK} if has_fix else {OK, LOST_DEVICE})


@pytest.mark.parametrize(("version", "is_so"), [
    ("10.2.2", False), ("11.1.3", False), ("11.1.50", True), ("11.1.90", True), ("11.2.0", True), ("12.0.0", True)])
def test_upstreams_fix_is_in_11_2_and_in_what_led_to_it(version: str, is_so: bool) -> None:
    assert has_upstreams_fix(version) == is_so


def test_every_size_is_tried_in_both_directions(unpatched: Run) -> None:
    tried = [(made["size"], made["direction"]) for made in unpatched.json()["requests"] if made["device"] == BLK]
    assert tried == [(size, direction) for size in SIZES for direction in (TO_BAR, FROM_BAR)]


def test_a_raised_bounce_buffer_is_offered_as_a_remedy_where_it_is_one(affected: Run) -> None:
    raised: dict[str, list[tuple[int, str]]] = {}
    for made in affected.json()["raised_bounce_buffer"]:
        raised.setdefault(made["device"], []).append((made["size"], made["verdict"]))
    assert raised[BLK] == [(8192, OK)] * 2 + [(1 << 20, OK)] * 2
    assert raised[NET] == [(8192, OK)] * 2
    assert raised[SCSI] == [(8192, WRONG), (8192, OK), (1 << 20, WRONG), (1 << 20, OK)]
    remedy = affected.json()["remedy"]
    assert "iommu_platform=on on each virtio-blk and virtio-net" in remedy
    assert "does not help virtio-scsi (wrong contents)" in remedy


def found_when_denied(run: Run, situation: str) -> dict[tuple[str, int], tuple[str, str]]:
    """What became of each request that mustn't succeed, and of the next."""
    denied = run.json()[situation]
    return {(made["device"], made["size"]): (made["outcome"], made["again"]) for made in denied}


DISKS = (BLK, BLK_SCANNED, SCSI, NVME)
WITHOUT_BAR = [*((device, size) for device in DISKS for size in (512, 65536)), (NET, 512), (NET, 8192)]
NOT_WRITABLE = [(BLK, 512), (BLK, 65536)]


def test_a_bar_that_goes_away_under_a_write_ends_it_by_sigbus(affected: Run) -> None:
    ends = "the emulator ends by SIGBUS"
    assert found_when_denied(affected, "bar_gone") == dict.fromkeys(WITHOUT_BAR, (ends, ""))
    assert f"goes away under a write: {ends} ({', '.join(DISKS)}, {NET});" in affected.json()["verdict"]
    assert ", or, for the sizes only, set" in affected.json()["remedy"]


def test_a_read_into_a_bar_that_cannot_be_written_ends_it_by_sigsegv(affected: Run) -> None:
    ends = "the emulator ends by SIGSEGV"
    found = found_when_denied(affected, "read_only")
    assert found == {(BLK, 512): (ends, ""), (BLK, 65536): (LOST_DEVICE, LOST_DEVICE)}
    assert f"a read into a BAR that can't be written: {ends} ({BLK})." in affected.json()["verdict"]


def test_several_requests_in_flight_lose_the_device_at_2_kib_where_one_works(affected: Run) -> None:
    tried = affected.json()["in_flight"]
    found = {(made["device"], made["direction"], made["size"]): made["verdict"] for made in tried}
    ways = [(direction, size) for size in (2048, 65536) for direction in (TO_BAR, FROM_BAR)]
    assert list(found) == [(device, *way) for device in (BLK, SCSI) for way in ways]
    assert set(found.values()) == {LOST_DEVICE}
    assert verdicts(affected.json(), BLK, lambda size: size == 2048) == {OK}
    assert f"several requests of 2 KiB in flight: {LOST_DEVICE} ({BLK}, {SCSI});" in affected.json()["verdict"]


def all_that_does_not_depend_on_the_bug(run: Run, missing: Sequence[str] = ()) -> None:
    found = run.json()
    assert (others := [check for check in found["checks"] if check["is_ok"] is False]) == [], others
    assert [check["name"] for check in found["checks"] if check["is_ok"] is None] == [*missing]
    assert found["not_checked"] == [*missing, *(["cache=none"] if found["o_direct_not_checked"] else [])]
    assert len(found["checks"]) == 6 + len(missing)
    assert [line.partition(":")[0] for line in found["region"]] == ["mmaps[0]", "mmaps[1]"]
    assert found["ratio"] > 0


def test_an_affected_emulator_with_few_devices_in_a_talkative_wrapper_is_found_so(wrapped: Run) -> None:
    is_stock_bug(wrapped, devices={BLK, NVME})
    all_that_does_not_depend_on_the_bug(wrapped, missing=[SCSI, NET])
    assert "Not checked: virtio-scsi, virtio-net" in wrapped.json()["verdict"]
    assert "the emulator ends by SIGBUS" in wrapped.json()["verdict"]
    assert {made["device"] for made in wrapped.json()["raised_bounce_buffer"]} == {BLK}
    assert "iommu_platform=on on each virtio-blk (all data" in wrapped.json()["remedy"]


def test_its_dma_interrupt_and_exactness_are_fine(unpatched: Run) -> None:
    all_that_does_not_depend_on_the_bug(unpatched)


def all_sizes_work(run: Run, region: str) -> None:
    """Every request that should, in a region that info mtree calls so."""
    found = run.json()
    assert found["limit"] is None
    assert {made["verdict"] for made in [*found["requests"], *found["in_flight"]]} == {OK}
    assert {line.partition(": ")[2] for line in found["region"]} == {region}
    all_that_does_not_depend_on_the_bug(run)


def test_an_emulator_with_the_series_is_found_fine(patched: Run) -> None:
    all_sizes_work(patched, "ramd")
    without_bar = {(device, size): (DROPPED if device == NET else FAILS, OK) for device, size in WITHOUT_BAR}
    assert found_when_denied(patched, "bar_gone") == without_bar
    not_writable = found_when_denied(patched, "read_only")
    assert list(not_writable) == NOT_WRITABLE
    assert set(not_writable.values()) <= {(FAILS, OK), (DROPPED, OK)}
    assert patched.status == FINE, patched.printed + patched.errors
    assert patched.json()["fine"] and patched.json()["remedy"] == ""


def test_an_emulator_that_gives_pointers_ends_where_it_looks_at_the_data_of_a_bar_that_has_gone(direct: Run) -> None:
    all_sizes_work(direct, "ramd, direct")
    ends = dict.fromkeys(((BLK_SCANNED, size) for size in (512, 65536)), ("the emulator ends by SIGBUS", ""))
    found = found_when_denied(direct, "bar_gone")
    assert list(found) == WITHOUT_BAR and found.items() >= ends.items()
    assert direct.status == AFFECTED and "without x-ram-device-direct=on" in direct.json()["remedy"]


def o_direct(run: Run) -> dict[tuple[int, str], str]:
    """What became of each request with cache=none."""
    assert run.json()["o_direct_not_checked"] == ""
    return {(made["size"], made["direction"]): made["verdict"] for made in run.json()["o_direct"]}


@pytest.mark.usefixtures("unpinnable")
def test_o_direct_works_with_the_series_where_the_kernel_refuses_to_pin_the_bar(patched: Run) -> None:
    assert o_direct(patched) == each_way(O_DIRECT_SIZES, OK)


@pytest.mark.usefixtures("unpinnable")
def test_o_direct_of_an_emulator_that_gives_pointers_is_an_io_error_there(direct: Run) -> None:
    assert o_direct(direct) == each_way(O_DIRECT_SIZES, IO_ERROR)
    assert f"{BLK_O_DIRECT} from 512 bytes on ({IO_ERROR})" in direct.json()["verdict"]


@pytest.mark.usefixtures("unpinnable")
def test_o_direct_without_the_series_is_tried_there_up_to_the_limit(affected: Run) -> None:
    assert o_direct(affected) == each_way((512, BOUNCE_BUFFER), OK)
