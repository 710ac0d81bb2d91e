# SPDX-License-Identifier: GPL-2.0-or-later
"""C7: neither memory mappings nor their attributes change by accesses to a BAR that is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.request import RequestFailed, Segment
from drivers.virtio import VirtioPci
from drivers.virtio_blk import VirtioBlk
from machines import emulators
from machines.bar_of_file import FIRST_FREE_SLOT, Machine, machine
from revoked.engine import Engine, Operation
from revoked.scene import MIB

# Accesses are so far apart that no two of them could be in one mapping of the pages between.
STRIDE, ACCESSES, CYCLES = 64 * 1024, 1000, 200
SIZE = 128 * MIB
LARGE_BAR, BUDGET = 1 << 30, 64 * MIB
SINGLE, BULK = 8, 96
OK = 0
EVERY_ACCESS = pytest.mark.parametrize(
    ("operation", "length"), [(Operation.LOAD, SINGLE), (Operation.READ, BULK), (Operation.MAP_READ, BULK)],
    ids=["load", "read", "map"],
)  # fmt: skip


def of_bar(running: Machine) -> list[str]:
    """What /proc says of the mappings of the BAR: addresses, permissions, and attributes."""
    found, is_bar = [], False
    for line in Path(f"/proc/{running.emulator.pid}/smaps").read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            is_bar = line.endswith(str(running.storage))
            found += [line] if is_bar else []
        elif is_bar and name == "VmFlags:":
            found.append(rest.strip())
    return found


@EVERY_ACCESS
def test_c7_a_thousand_accesses_to_a_bar_that_is_gone_add_no_mapping(
    tmp_path: Path, operation: Operation, length: int
) -> None:
    with machine(emulators.wanted("patched"), tmp_path, SIZE) as running:
        engine = Engine(running)
        assert engine.carry_out(operation, running.address, length) == OK
        before, whole = running.mappings(), of_bar(running)
        running.cut_bar()
        for number in range(ACCESSES):
            assert engine.carry_out(operation, running.address + STRIDE * number, length) != OK
        assert running.mappings() == before
        running.bring_bar_back()
        assert of_bar(running) == whole
        assert engine.carry_out(operation, running.address, length) == OK


@EVERY_ACCESS
def test_c7_a_bar_that_was_gone_two_hundred_times_is_mapped_as_before(
    tmp_path: Path, operation: Operation, length: int
) -> None:
    with machine(emulators.wanted("patched"), tmp_path, SIZE) as running:
        engine = Engine(running)
        assert engine.carry_out(operation, running.address, length) == OK
        before, whole = running.mappings(), of_bar(running)
        for number in range(CYCLES):
            address = running.address + STRIDE * number
            running.cut_bar()
            assert engine.carry_out(operation, address, length) != OK
            running.bring_bar_back()
            assert engine.carry_out(operation, address, length) == OK
        assert (running.mappings(), of_bar(running)) == (before, whole)


@pytest.mark.parametrize("size", [BUDGET // 2, 512 * MIB])
def test_c7_a_large_read_into_a_bar_that_is_gone_adds_no_mapping(tmp_path: Path, size: int) -> None:
    options = [
        "-blockdev", f"driver=null-co,node-name=disk,size={LARGE_BAR},read-zeroes=on",
        "-device", f"virtio-blk-pci,drive=disk,addr={FIRST_FREE_SLOT:x}.0",
    ]  # fmt: skip
    with machine(emulators.wanted("patched"), tmp_path, LARGE_BAR, options) as running:
        transport = VirtioPci(running.function(FIRST_FREE_SLOT), running.window)
        disk = VirtioBlk(running.emulator.qtest, transport, running.pages)
        data = [Segment(running.address, size)]

        def answered() -> None:
            try:
                disk.transfer(True, 0, data)
            except RequestFailed:
                assert size > BUDGET

        answered()
        before, whole = running.mappings(), of_bar(running)
        running.cut_bar()
        answered()
        assert running.mappings() == before
        running.bring_bar_back()
        assert of_bar(running) == whole
        disk.transfer(True, 0, [Segment(running.address, MIB)])
