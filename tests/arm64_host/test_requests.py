# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-blk requests on an arm64 host, into the BARs of NVIDIA's driver for a GH200's GPU and of vfio-pci.

One outer VM is run for all of these tests. RAM_DEVICE_ARM64 names the emulator, built for arm64; Debian's own is
beside it.
"""

from __future__ import annotations

import signal

import pytest

from arm64_host import asked
from arm64_host.asked import MEMORIES, OURS, STOCK, Asked
from arm64_host.places import DEVICE, LINUX_6_12
from machines import emulators
from machines.error import NotAvailable
from vfio import demonstrate
from vfio.demonstrate import Report
from vfio.transfers import DIRECTIONS, KIB, LOST_DEVICE, LOST_EMULATOR, OK, TO_BAR, TO_DISK

KNOWN_MESSAGE = "virtio: bogus descriptor or out of resources"
OURS_ASKED = [made for made in asked.FOR_CHECK if made.who == OURS]


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What one run of the outer VM has shown."""
    ours = emulators.wanted_on_arm64()
    work = tmp_path_factory.mktemp("arm64-host")
    try:
        vm = LINUX_6_12.outer_vm(work)
    except NotAvailable as reason:
        pytest.skip(f"no arm64 host: {reason}")
    return demonstrate.run_in(vm, [made.compared(ours, LINUX_6_12) for made in asked.FOR_CHECK], work, print)


@pytest.mark.parametrize("made", OURS_ASKED, ids=lambda made: made.name)
def test_every_request_succeeds_with_the_contents_that_must_be(report: Report, made: Asked) -> None:
    outcomes, compared = report.of(made.name), made.compared(emulators.wanted_on_arm64(), LINUX_6_12)
    assert len(outcomes) == len(compared.sizes) * len(compared.descriptor_counts) * len(DIRECTIONS)
    assert [outcome for outcome in outcomes if outcome.verdict != OK] == []


def test_the_host_finds_in_memory_and_on_the_disk_just_what_the_requests_that_succeeded_have_moved(
    report: Report,
) -> None:
    assert report.differences == [], report.differences


@pytest.mark.parametrize("memory", MEMORIES)
def test_debians_emulator_loses_the_disk_to_8_kib_into_any_bar_with_the_known_message(
    report: Report, memory: str
) -> None:
    (outcome,) = report.of(Asked(STOCK, memory).name, TO_BAR, 8 * KIB)
    assert outcome.verdict == LOST_DEVICE
    assert outcome.message.endswith(KNOWN_MESSAGE)


@pytest.mark.parametrize("memory", [memory for memory in MEMORIES if memory != DEVICE])
def test_debians_emulator_ends_by_sigbus_where_nvgrace_gpu_has_taken_the_mapping_away(
    report: Report, memory: str
) -> None:
    for size in (4 * KIB, 8 * KIB):
        (outcome,) = report.of(Asked(STOCK, memory).name, TO_DISK, size)
        assert outcome.verdict == LOST_EMULATOR
        assert f"exit status is {-signal.SIGBUS}" in outcome.message


def test_debians_emulator_makes_requests_that_fit_its_bounce_buffer_on_vfio_pci(report: Report) -> None:
    for direction in (TO_BAR, TO_DISK):
        (outcome,) = report.of(Asked(STOCK, DEVICE).name, direction, 4 * KIB)
        assert outcome.verdict == OK
