# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux guest that uses BAR memory as system RAM: its disk works in it, with this series, and not without it."""

from __future__ import annotations

import pytest

from guest.conftest import PATCHED, PATCHED_O_DIRECT, STOCK
from guest.contents import MIB, SECTOR
from guest.machine import KNOWN_MESSAGE, STUCK
from guest.scenario import BAR_MIB, Outcome
from machines import emulators

TEST_DEVICE = "test device"
# Emulated twice, and so slow.
IN_OUTER_VM = pytest.mark.exhaustive
WORKING = (TEST_DEVICE, *(pytest.param(name, marks=IN_OUTER_VM) for name in (PATCHED, PATCHED_O_DIRECT)))


@pytest.fixture(params=WORKING)
def working(request: pytest.FixtureRequest) -> Outcome:
    """A guest that has to work, on the test device and on the kernel's vfio-pci."""
    if request.param == TEST_DEVICE:
        outcome: Outcome = request.getfixturevalue("on_test_device")
    else:
        outcome = request.getfixturevalue("nested")[request.param]
    return outcome


@pytest.fixture
def stock(nested: dict[str, Outcome]) -> Outcome:
    """The guest with the untouched emulator, on the kernel's vfio-pci."""
    emulators.wanted("stock")
    return nested[STOCK]


def test_the_guest_has_the_bar_as_system_ram_and_a_disk_with_four_queues(working: Outcome) -> None:
    assert any(line.endswith(f" and {BAR_MIB} MiB in the BAR") for line in working.run.said), working.run.console
    assert "processors 4, queues of the disk 4" in working.run.said


def test_the_guest_reads_what_was_written_everywhere_and_always(working: Outcome) -> None:
    assert working.run.is_done, working.run
    assert (found := working.run.compared("different")) == [], found
    assert len(working.run.compared("same")) == working.size.comparisons


def test_the_guest_read_it_from_the_disk_again(working: Outcome) -> None:
    assert working.run.sectors_read >= working.size.sectors_read_at_least


def test_the_host_finds_files_and_raw_disk_as_the_guest_must_have_left_them(working: Outcome) -> None:
    assert working.run.is_done
    assert working.differences == [], working.differences


def test_half_of_the_disks_data_at_least_was_copied_into_the_bar_and_out_of_it(working: Outcome) -> None:
    size, copied = working.size, working.run.copied
    assert copied["into the BAR"] >= size.sectors_read_at_least * SECTOR // 2, copied
    assert copied["out of the BAR"] >= size.rounds * size.all_chunks_mib * MIB, copied  # it is written twice


def test_the_host_finds_the_disks_blocks_in_the_memory_behind_the_bar(working: Outcome) -> None:
    assert working.blocks_in_bar >= working.size.blocks // 2


def test_the_emulator_has_nothing_to_complain_of(working: Outcome) -> None:
    assert not [line for line in working.run.messages if "virtio" in line or "error" in line]


def test_the_same_guest_works_in_ordinary_ram(
    on_test_device: Outcome, in_ordinary_ram: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_ordinary_ram.run.is_done, in_ordinary_ram.run
    assert in_ordinary_ram.differences == [], in_ordinary_ram.differences
    bar, ram = on_test_device.run.work_seconds, in_ordinary_ram.run.work_seconds
    with capsys.disabled():
        print(f"# the workload took {bar:.1f} s in the BAR, {ram:.1f} s in ordinary RAM: ratio {bar / ram:.2f}")


@IN_OUTER_VM
def test_on_the_untouched_emulator_the_disk_is_lost_with_the_known_message(stock: Outcome) -> None:
    assert [line for line in stock.run.messages if line.endswith(KNOWN_MESSAGE)], stock.run.messages


@IN_OUTER_VM
def test_on_the_untouched_emulator_the_guest_lives_but_its_disk_does_nothing_any_more(stock: Outcome) -> None:
    assert stock.run.ending == STUCK, stock.run
    assert (found := stock.run.compared("same")) == [], found
