# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 for the ATA command that describes by its data what to give up."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.ahci import BLOCK, Ahci, trim_ranges
from drivers.request import RequestFailed, Segment
from machines import emulators
from revoked import graphs, models
from revoked.scene import AT, PAGE, scene


def test_c7_trim_half_of_whose_ranges_are_gone_fails_and_changes_no_byte(tmp_path: Path) -> None:
    first, second = (64, 64), (256, 64)
    data = trim_ranges([first]).ljust(BLOCK // 2, b"\0") + trim_ranges([second]).ljust(BLOCK // 2, b"\0")
    with scene(emulators.wanted("patched"), tmp_path, models.AHCI[0], graphs.UNMAPPING) as set_up:
        assert isinstance(set_up.disk, Ahci)
        begin = AT + PAGE - BLOCK // 2
        ranges = Segment(set_up.machine.address + begin, BLOCK)
        set_up.machine.fill_bar(begin, data)
        before = set_up.unchanged()
        set_up.machine.cut_bar(AT + PAGE)
        with pytest.raises(RequestFailed):
            set_up.disk.trim(ranges)
        assert set_up.unchanged() == before
        set_up.machine.bring_bar_back()
        set_up.machine.fill_bar(begin, data)
        set_up.disk.trim(ranges)
        for sector, count in (first, second):
            set_up.contents[sector * BLOCK : (sector + count) * BLOCK] = bytes(count * BLOCK)
