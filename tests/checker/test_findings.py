# SPDX-License-Identifier: GPL-2.0-or-later
"""What the checker makes of what it has seen, without any emulator."""

from __future__ import annotations

from exactness import DMA_SIZE, flaw
from findings import (
    AFFECTED,
    BLK,
    FINE,
    FROM_BAR,
    IO_ERROR,
    NVME,
    OK,
    TO_BAR,
    WRONG,
    Check,
    Findings,
    Limit,
    Request,
)
from peer import MEMORY_BAR, REGISTER_BAR, Access
from report import table

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
