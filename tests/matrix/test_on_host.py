# SPDX-License-Identifier: GPL-2.0-or-later
"""The matrix on the test device: what depends on QEMU only, and not on the kernel's VFIO."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from machines.o_direct import can_be_opened_directly
from matrix import selection
from matrix.cases import disks, other_cases, storage_cases
from matrix.dimensions import CACHES, O_DIRECT, OTHER_REQUESTS, STORAGE_DEVICES
from matrix.machine import DIRECT, PATCHED, Variant
from matrix.run_matrix import Report, run_on_host, sentence
from matrix.stores import FILE

PART, WHOLE = "part", "whole"


@pytest.fixture(scope="module", params=[PART, pytest.param(WHOLE, marks=pytest.mark.exhaustive)])
def chosen(request: pytest.FixtureRequest) -> str:
    """How much of the matrix."""
    part: str = request.param
    return part


@pytest.fixture(scope="module")
def report(chosen: str, patched: Variant, direct: Variant, tmp_path_factory: pytest.TempPathFactory) -> Report:
    work = tmp_path_factory.mktemp("matrix")
    if not can_be_opened_directly(work):
        pytest.skip(f"{work} is on a file system without O_DIRECT")
    jobs = {PART: selection.on_host_for_check, WHOLE: selection.on_host}[chosen]
    return run_on_host(jobs([patched, direct]), work, lambda _: None)


@pytest.mark.parametrize("variant", [PATCHED, DIRECT])
def test_all_that_is_planned_was_run(chosen: str, report: Report, variant: str) -> None:
    whole = [case for disk in disks(FILE) for case in storage_cases(disk)] + other_cases()
    planned = whole if chosen == WHOLE else [case for case in whole if selection.is_representative(case)]
    assert len(planned) == {WHOLE: 4441, PART: 1721}[chosen]
    assert [outcome.case for outcome in report.outcomes if outcome.variant == variant] == planned


@pytest.mark.parametrize("device", [*STORAGE_DEVICES, *OTHER_REQUESTS])
@pytest.mark.parametrize("variant", [PATCHED, DIRECT])
def test_every_combination_ends_as_it_must(report: Report, variant: str, device: str) -> None:
    unexpected = [outcome for outcome in report.unexpected(variant) if outcome.case.device == device]
    assert unexpected == [], [sentence(outcome) for outcome in unexpected]


def test_nothing_else_in_memory_or_on_the_disks_has_changed(report: Report) -> None:
    assert report.differences == [], report.differences


@pytest.mark.parametrize("cache", [cache for cache in CACHES if cache not in O_DIRECT])
def test_qemu_refuses_linux_aio_without_o_direct(patched: Variant, tmp_path: Path, cache: str) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(512))
    drive = f"if=none,file={image},format=raw,cache={cache},aio=native"
    command = [patched.emulator, "-M", "virt", "-accel", "qtest", "-display", "none", "-drive", drive]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "aio=native was specified, but it requires cache.direct=on" in done.stderr
