# SPDX-License-Identifier: GPL-2.0-or-later
"""Which part of the matrix is run where: all of it, or what `make check` has the time for in the outer VM."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cases import disks, expected_of_direct, expected_of_stock, other_cases, storage_cases
from dimensions import BARS, BORDERS, BOTH_WAYS, KIB, LARGE, LIST, NO_ANSWER, O_DIRECT, USB, Case, Disk
from jobs import Job
from machine import STOCK, Variant
from stores import BLOCK_DEVICE, EXT4, FILE, SHARE

# The requests that `make check` makes in the outer VM.
REPRESENTATIVE = (
    *((place, size) for place in BARS for size in (512, 64 * KIB, LARGE)),
    *((place, 64 * KIB) for place in BORDERS),
    (LIST, 32 * KIB),
)


def on_host(variants: Sequence[Variant]) -> list[Job]:
    """All combinations that the test device can show."""
    storage = [_job(variant, disk, storage_cases(disk)) for variant in variants for disk in disks(FILE)]
    return storage + _others(variants)


def in_vm(variants: Sequence[Variant]) -> list[Job]:
    """All combinations on the kernel's vfio-pci; of stock, only those that it answers: each other costs a machine."""
    everywhere = disks(BLOCK_DEVICE, ("raw",)) + disks(EXT4) + disks(SHARE, ("raw",))
    jobs = []
    for variant in variants:
        for disk in everywhere:
            cases = storage_cases(disk)
            if variant.name == STOCK:
                cases = [case for case in cases if expected_of_stock(case) != NO_ANSWER]
            jobs.append(_job(variant, disk, cases))
    return jobs + _others(variants)


def in_vm_for_check(patched: Variant, others: Sequence[Variant]) -> list[Job]:
    """Each engine with O_DIRECT on each kind of file, and two disks without; for other emulators, one kind of file."""
    buffered = Disk(BLOCK_DEVICE, "raw", "writeback", "threads")
    chosen = [
        *disks(BLOCK_DEVICE, ("raw",), O_DIRECT),
        *disks(EXT4, ("raw", "qcow2"), ("none",)),
        buffered,
        Disk(SHARE, "raw", "writeback", "threads"),
    ]
    jobs = [_job(patched, disk, representative(storage_cases(disk))) for disk in chosen]
    for other in others:
        for disk in (*disks(BLOCK_DEVICE, ("raw",), ("none",)), buffered):
            cases = representative(storage_cases(disk))
            jobs.append(_job(other, disk, [case for case in cases if other.name == STOCK or expected_of_direct(case)]))
    return jobs


def representative(cases: Iterable[Case]) -> list[Case]:
    """Those of the cases that `make check` has time for in the outer VM; usb-storage copies, so no page is pinned."""
    return [
        case
        for case in cases
        if case.device != USB and case.operation in BOTH_WAYS and (case.place, case.size) in REPRESENTATIVE
    ]


def _others(variants: Sequence[Variant]) -> list[Job]:
    return [Job(variant, None, tuple(other_cases())) for variant in variants]


def _job(variant: Variant, disk: Disk, cases: Sequence[Case]) -> Job:
    return Job(variant, disk, tuple(cases))
