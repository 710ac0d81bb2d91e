# SPDX-License-Identifier: GPL-2.0-or-later
"""What the checker makes of what it has seen, without any emulator."""

from __future__ import annotations

import json

import pytest

from checker.denied import outcome_of_read, outcome_of_write
from checker.exactness import DMA_SIZE, flaw
from checker.findings import (
    AFFECTED,
    BLK,
    BLK_O_DIRECT,
    CHANGED,
    DROPPED,
    FAILS,
    FINE,
    FROM_BAR,
    IO_ERROR,
    LOST_DEVICE,
    LOST_EMULATOR,
    MADE_UP,
    NET,
    NO_ANSWER,
    NOTHING,
    NVME,
    OK,
    SCSI,
    TO_BAR,
    WRITTEN,
    WRONG,
    Answer,
    Check,
    Denied,
    Findings,
    Limit,
    Request,
)
from checker.peer import MEMORY_BAR, REGISTER_BAR, Access
from checker.report import as_json, table

pytestmark = pytest.mark.quick

BEGIN = 0x1000


def findings(*requests: Request) -> Findings:
    return Findings("/qemu", "10.2.0", "aarch64", "virt", requests=list(requests))


def test_all_requests_that_work_are_a_fine_emulator() -> None:
    found = findings(Request(BLK, TO_BAR, 512, OK), Request(BLK, FROM_BAR, 1 << 20, OK))
    assert found.status == FINE and "is fine" in found.verdict and "512 B to 1 MiB" in found.verdict
    assert found.remedy == "" and "none met" in table(found)


def test_one_request_that_fails_is_an_affected_emulator() -> None:
    for verdict in (WRONG, IO_ERROR):
        found = findings(Request(BLK, TO_BAR, 512, OK), Request(NVME, FROM_BAR, 1 << 20, verdict))
        assert found.status == AFFECTED
        assert f"nvme from 1048576 bytes on ({verdict})" in found.verdict and "virtio-blk" not in found.verdict


def test_the_verdict_names_the_limit_to_the_sector() -> None:
    found = findings(Request(BLK, TO_BAR, 4096, OK), Request(BLK, TO_BAR, 8192, WRONG))
    found.limit = Limit(4096, 4608, WRONG, "")
    assert "virtio-blk from 4608 bytes on" in found.verdict


def test_a_check_that_fails_is_told_apart_from_one_that_could_not_be_made() -> None:
    found = findings(Request(BLK, TO_BAR, 512, OK))
    found.checks.append(Check("interrupt", None, "why not"))
    assert found.status == FINE and "not checked: why not" in table(found)
    found.checks.append(Check("DMA", False, "wrong: RAM to BAR"))
    assert found.status == AFFECTED and "DMA: wrong: RAM to BAR" in found.verdict


def test_a_device_that_is_missing_is_named_in_the_verdict() -> None:
    found = findings(Request(BLK, TO_BAR, 512, OK))
    assert "is fine: " in found.verdict and "Not checked" not in found.verdict
    found.checks.append(Check(NET, None, "the emulator has no virtio-net-pci"))
    found.o_direct_not_checked = "no O_DIRECT here"
    assert found.status == FINE and "is fine as far as checked: " in found.verdict
    assert found.verdict.endswith("Not checked: virtio-net, cache=none.")
    assert json.loads(as_json(found))["not_checked"] == [NET, "cache=none"]
    found.requests.append(Request(BLK, TO_BAR, 1024, WRONG))
    assert "affected" in found.verdict and found.verdict.endswith("Not checked: virtio-net, cache=none.")


def test_requests_with_cache_none_that_fail_are_an_affected_emulator() -> None:
    found = findings(Request(BLK, TO_BAR, 512, OK))
    found.o_direct = [Request(BLK_O_DIRECT, TO_BAR, 512, OK)]
    assert found.status == FINE and "  virtio-blk, cache=none, 512 B  ok" in table(found)
    found.o_direct.append(Request(BLK_O_DIRECT, FROM_BAR, 4096, IO_ERROR))
    assert found.status == AFFECTED and "fails: virtio-blk with cache=none from 4096 bytes on (I/O" in found.verdict


def test_requests_in_flight_that_fail_are_an_affected_emulator() -> None:
    found = findings(Request(BLK, TO_BAR, 512, OK))
    found.in_flight = [Request(BLK, TO_BAR, 2048, OK), Request(BLK, FROM_BAR, 2048, OK)]
    assert found.status == FINE and "  virtio-blk, 16 in flight, 2 KiB  ok" in table(found)
    found.in_flight += [Request(BLK, TO_BAR, 65536, LOST_DEVICE), Request(SCSI, FROM_BAR, 2048, NO_ANSWER)]
    assert found.status == AFFECTED and "series" in found.remedy
    assert "several requests of 64 KiB in flight: device lost (virtio-blk)" in found.verdict
    assert "several requests of 2 KiB in flight: no answer (virtio-scsi)" in found.verdict


@pytest.mark.parametrize(("answer", "has_changed", "outcome"), [
    (Answer(IO_ERROR), False, FAILS),
    (Answer(IO_ERROR), True, CHANGED),
    (Answer(OK), True, MADE_UP),
    (Answer(OK), False, NOTHING),
    (Answer(LOST_DEVICE), False, LOST_DEVICE),
    (Answer(NO_ANSWER), False, NO_ANSWER),
    (Answer(LOST_EMULATOR, signal="SIGBUS"), False, "the emulator ends by SIGBUS"),
    (Answer(LOST_EMULATOR), False, LOST_EMULATOR),
])  # fmt: skip
def test_a_write_without_its_bar_must_fail_and_leave_the_disk(answer: Answer, has_changed: bool, outcome: str) -> None:
    assert outcome_of_write(answer, has_changed) == outcome
    assert Denied(BLK, 512, outcome, OK).is_fine == (outcome == FAILS)


@pytest.mark.parametrize(("answer", "has_changed", "outcome"), [
    (Answer(IO_ERROR), False, FAILS),
    (Answer(OK), False, DROPPED),
    (Answer(OK), True, WRITTEN),
    (Answer(IO_ERROR), True, WRITTEN),
    (Answer(LOST_DEVICE), False, LOST_DEVICE),
    (Answer(LOST_EMULATOR, signal="SIGSEGV"), False, "the emulator ends by SIGSEGV"),
])  # fmt: skip
def test_a_read_into_what_cannot_be_written_is_dropped_or_fails(
    answer: Answer, has_changed: bool, outcome: str
) -> None:
    assert outcome_of_read(answer, has_changed) == outcome
    assert Denied(BLK, 512, outcome, OK).is_fine == (outcome in (FAILS, DROPPED))


def test_a_request_that_fails_is_fine_only_if_the_next_one_works() -> None:
    found = findings(Request(BLK, TO_BAR, 512, OK))
    found.bar_gone = [Denied(BLK, 512, FAILS, OK), Denied(NET, 512, DROPPED, OK)]
    assert found.status == FINE and "virtio-blk, 512 B  request fails; then all works again" in table(found)
    found.bar_gone.append(Denied(BLK, 65536, FAILS, IO_ERROR))
    assert found.status == AFFECTED and "write: request fails; then I/O error (virtio-blk)" in found.verdict
    assert "FAILED: request fails; then I/O error" in table(found)
    assert [denied["is_fine"] for denied in json.loads(as_json(found))["bar_gone"]] == [True, True, False]


def test_the_verdict_names_what_a_bar_that_goes_away_or_cannot_be_written_does() -> None:
    found = findings(Request(BLK, TO_BAR, 512, OK))
    found.read_only = [Denied(BLK, 512, "the emulator ends by SIGSEGV")]
    assert "a read into a BAR that can't be written: the emulator ends by SIGSEGV (virtio-blk)" in found.verdict
    assert found.status == AFFECTED and "Remedy: use a QEMU with" in found.remedy
    found.bar_gone = [Denied(device, 512, "the emulator ends by SIGBUS") for device in (SCSI, NET)]
    found.bar_gone.append(Denied(SCSI, 65536, MADE_UP, OK))
    ends = "a BAR that goes away under a write: the emulator ends by SIGBUS (virtio-scsi, virtio-net)"
    assert found.verdict.count(ends) == 1
    assert MADE_UP not in found.verdict and MADE_UP in table(found)
    assert "Remedy: use a QEMU with" in found.remedy


def test_a_raised_bounce_buffer_is_a_remedy_for_the_sizes_only() -> None:
    found = findings(Request(BLK, TO_BAR, 8192, LOST_DEVICE))
    found.raised_bounce_buffer = [Request(BLK, TO_BAR, 8192, OK)]
    assert ", or set x-max-bounce-buffer-size" in found.remedy
    found.bar_gone = [Denied(BLK, 512, "the emulator ends by SIGBUS")]
    assert ", or, for the sizes only, set x-max-bounce-buffer-size" in found.remedy


def test_an_emulator_that_gives_pointers_has_a_remedy_of_its_own() -> None:
    found = findings(Request(BLK, TO_BAR, 8192, OK))
    found.region = ["mmaps[0]: ramd, direct"]
    found.bar_gone = [Denied(BLK, 512, "the emulator ends by SIGBUS")]
    assert found.remedy == "Remedy: use this QEMU without x-ram-device-direct=on."


def test_neighbouring_sizes_with_one_outcome_share_a_row() -> None:
    made = [
        Request(BLK, way, size, OK if size < 2048 else WRONG)
        for size in (512, 1024, 2048)
        for way in (TO_BAR, FROM_BAR)
    ]
    printed = table(findings(*made))
    assert "virtio-blk, 512 B to 1 KiB  ok" in printed and "virtio-blk, 2 KiB           wrong contents" in printed


def accesses(*sizes: int, begin: int = BEGIN) -> list[Access]:
    made = []
    for size in sizes:
        made.append(Access(MEMORY_BAR, "read", begin, size, ""))
        begin += size
    return made


def test_flaws_of_accesses_are_found() -> None:
    right = accesses(*[8] * (DMA_SIZE // 8))
    assert flaw(right, BEGIN, "read") == ""
    assert "instead of 1024" in flaw(right[:-1], BEGIN, "read")
    assert "an access at 0 where 8 is next" in flaw([right[0], *right], BEGIN, "read")
    assert "an access at 16 where 8 is next" in flaw([right[0], *right[2:]], BEGIN, "read")
    assert "where 0 is next" in flaw(right[::-1], BEGIN, "read")
    assert "a read of BAR 4 among writes" in flaw(right, BEGIN, "write")
    assert "of BAR 0" in flaw([Access(REGISTER_BAR, "read", BEGIN, 8, "")], BEGIN, "read")
    assert "an access of 8 bytes at 4 of 8" in flaw(accesses(4, 8), BEGIN, "read")
