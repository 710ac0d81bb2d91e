# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 for the SCSI commands that QEMU emulates, behind every host adapter."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.request import RequestFailed, Segment
from drivers.scsi_disk import BLOCK, MODE_HEADER_10, ScsiDisk, unmap_list
from machines import emulators
from revoked import graphs, models
from revoked.models import Model
from revoked.scene import AT, FIRST, PAGE, Scene, scene

EVERY_ADAPTER = pytest.mark.parametrize("model", models.SCSI, ids=lambda model: model.name)
BLOCKS = 8
CACHING_PAGE, CACHING_PAGE_SIZE, WRITE_CACHE_ENABLED = 0x08, 20, 4
INQUIRY_SIZE, VENDOR = 36, slice(8, 16)


def disk_of(set_up: Scene) -> ScsiDisk:
    assert isinstance(set_up.disk, ScsiDisk)
    return set_up.disk


def across_the_cut(set_up: Scene, data: bytes, left: int) -> Segment:
    """Memory for the data, of which the first bytes end with a page, where the BAR will be cut."""
    begin = AT + PAGE - left
    set_up.machine.fill_bar(begin, data)
    return Segment(set_up.machine.address + begin, len(data))


@EVERY_ADAPTER
def test_c7_write_same_whose_block_is_gone_fails_and_changes_no_byte(tmp_path: Path, model: Model) -> None:
    with scene(emulators.wanted("patched"), tmp_path, model) as set_up:
        before = set_up.unchanged()
        pattern = Segment(set_up.machine.address + AT, BLOCK)
        set_up.machine.cut_bar()
        with pytest.raises(RequestFailed):
            disk_of(set_up).write_same(FIRST, BLOCKS, pattern)
        assert set_up.unchanged() == before
        set_up.bring_bar_back()
        block = random.Random(BLOCK).randbytes(BLOCK)
        set_up.machine.fill_bar(AT, block)
        disk_of(set_up).write_same(FIRST, BLOCKS, pattern)
        set_up.contents[FIRST * BLOCK : (FIRST + BLOCKS) * BLOCK] = block * BLOCKS


@EVERY_ADAPTER
def test_c7_unmap_whose_second_range_is_gone_fails_and_changes_no_byte(tmp_path: Path, model: Model) -> None:
    ranges = [(64, 64), (256, 64)]
    data = unmap_list(ranges)
    with scene(emulators.wanted("patched"), tmp_path, model, graphs.UNMAPPING) as set_up:
        parameters = across_the_cut(set_up, data, len(unmap_list(ranges[:1])))
        before = set_up.unchanged()
        set_up.machine.cut_bar(AT + PAGE)
        with pytest.raises(RequestFailed):
            disk_of(set_up).unmap(parameters)
        assert set_up.unchanged() == before
        set_up.bring_bar_back()
        set_up.machine.fill_bar(parameters.address - set_up.machine.address, data)
        disk_of(set_up).unmap(parameters)
        for block, count in ranges:
            set_up.contents[block * BLOCK : (block + count) * BLOCK] = bytes(count * BLOCK)


@EVERY_ADAPTER
def test_c7_mode_select_whose_page_is_gone_fails_and_changes_no_mode(tmp_path: Path, model: Model) -> None:
    size = MODE_HEADER_10 + CACHING_PAGE_SIZE
    with scene(emulators.wanted("patched"), tmp_path, model) as set_up:
        qtest = set_up.machine.emulator.qtest
        sensed = Segment(set_up.machine.pages.take(), size)

        def modes() -> bytes:
            disk_of(set_up).mode_sense(CACHING_PAGE, sensed)
            return qtest.read(sensed.address, size)

        before = modes()
        wanted = bytearray(before)
        wanted[MODE_HEADER_10 + 2] ^= WRITE_CACHE_ENABLED
        selected = bytes(MODE_HEADER_10) + bytes(wanted[MODE_HEADER_10:])
        parameters = across_the_cut(set_up, selected, MODE_HEADER_10 + 2)
        set_up.machine.cut_bar(AT + PAGE)
        with pytest.raises(RequestFailed):
            disk_of(set_up).mode_select(parameters)
        set_up.bring_bar_back()
        assert modes() == before
        set_up.machine.fill_bar(parameters.address - set_up.machine.address, selected)
        disk_of(set_up).mode_select(parameters)
        assert modes() == bytes(wanted)


@EVERY_ADAPTER
def test_c9_an_answer_is_in_the_bar_as_it_is_in_ram(tmp_path: Path, model: Model) -> None:
    with scene(emulators.wanted("patched"), tmp_path, model) as set_up:
        ram = Segment(set_up.machine.pages.take(), INQUIRY_SIZE)
        disk_of(set_up).inquiry(ram)
        answer = set_up.machine.emulator.qtest.read(ram.address, ram.size)
        assert answer[VENDOR] == b"QEMU    "
        disk_of(set_up).inquiry(Segment(set_up.machine.address + AT, INQUIRY_SIZE))
        assert set_up.machine.bar(AT, INQUIRY_SIZE) == answer


@EVERY_ADAPTER
def test_c7_an_answer_that_goes_into_a_bar_that_is_gone_is_dropped(tmp_path: Path, model: Model) -> None:
    with scene(emulators.wanted("patched"), tmp_path, model) as set_up:
        into = Segment(set_up.machine.address + AT, INQUIRY_SIZE)
        before = set_up.unchanged()
        set_up.machine.cut_bar()
        with suppress(RequestFailed):
            disk_of(set_up).inquiry(into)
        assert set_up.unchanged() == before
        set_up.bring_bar_back()
        disk_of(set_up).inquiry(into)
        assert set_up.machine.bar(AT, INQUIRY_SIZE)[VENDOR] == b"QEMU    "
