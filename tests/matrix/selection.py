# SPDX-License-Identifier: GPL-2.0-or-later
"""Which part of the matrix is run where: all of it, or what `make check` and `make check-all` have the time for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matrix.cases import disks, expected_of_direct, expected_of_stock, other_cases, storage_cases
from matrix.dimensions import BARS, BORDERS, BOTH_WAYS, KIB, LARGE, LIST, NO_ANSWER, O_DIRECT, USB, Case, Disk
from matrix.jobs import Job
from matrix.machine import STOCK, Variant
from matrix.stores import BLOCK_DEVICE, EXT4, FILE, SHARE

# The requests that are made where there isn't time for all of them.
REPRESENTATIVE = (
    *((place, size) for place in BARS for size in (512, 64 * KIB, LARGE)),
    *((place, 64 * KIB) for place in BORDERS),
    (LIST, 32 * KIB),
)


def on_host(variants: Sequence[Variant]) -> list[Job]:
    """All combinations that the test device can show."""
    storage = [_job(variant, disk, storage_cases(disk)) for variant in variants for disk in disks(FILE)]
    return storage + _others(variants)


def on_host_for_check(variants: Sequence[Variant]) -> list[Job]:
    """Every device with every disk, and each of them with some requests only."""
    jobs = [Job(job.variant, job.disk, tuple(filter(is_representative, job.cases))) for job in on_host(variants)]
    return [job for job in jobs if job.cases]


def on_host_unpinnable(patched: Variant, direct: Variant) -> list[Job]:
    """All disks with O_DIRECT, and two without, where the test device's BARs can't be pinned; pointers: raw ones."""
    buffered = Disk(FILE, "raw", "writeback", "threads")
    chosen = [*disks(FILE, caches=O_DIRECT), buffered, Disk(FILE, "qcow2", "writeback", "threads")]
    jobs = [_job(patched, disk, representative(storage_cases(disk))) for disk in chosen]
    pointers = [*disks(FILE, ("raw",), O_DIRECT), buffered]
    cases = {disk: filter(expected_of_direct, representative(storage_cases(disk))) for disk in pointers}
    return jobs + [_job(direct, disk, list(cases[disk])) for disk in pointers]


def in_vm(patched: Variant, others: Sequence[Variant]) -> list[Job]:
    """All combinations on the kernel's vfio-pci; of stock, only those that it answers: each other costs a machine."""
    everywhere = disks(BLOCK_DEVICE, ("raw",)) + disks(EXT4) + disks(SHARE, ("raw",))
    jobs = []
    for variant in (variants := [patched, *others]):
        for disk in everywhere:
            cases = storage_cases(disk)
            if variant.name == STOCK:
                cases = [case for case in cases if expected_of_stock(case) != NO_ANSWER]
            jobs.append(_job(variant, disk, cases))
    return jobs + _others(variants)


def in_vm_for_check_all(patched: Variant, others: Sequence[Variant]) -> list[Job]:
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
    """Those of the cases that there is time for in the outer VM; usb-storage copies, so no page is pinned."""
    return [
        case for case in cases if case.device != USB and case.operation in BOTH_WAYS and is_representative(case)
    ]


def is_representative(case: Case) -> bool:
    """Whether a request is one of those that are made where there isn't time for all, or isn't a disk's."""
    return case.disk is None or (case.place, case.size) in REPRESENTATIVE


def _others(variants: Sequence[Variant]) -> list[Job]:
    return [Job(variant, None, tuple(other_cases())) for variant in variants]


def _job(variant: Variant, disk: Disk, cases: Sequence[Case]) -> Job:
    return Job(variant, disk, tuple(cases))
