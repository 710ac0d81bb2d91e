# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 for virtio-blk's requests that describe by their data what to give up, or to zero."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.request import RequestFailed, Segment
from drivers.virtio_blk import VirtioBlk, sector_range
from machines import emulators
from revoked import graphs
from revoked.models import VIRTIO_BLK
from revoked.scene import AT, BLOCK, PAGE, scene

SECTOR, COUNT = 64, 64


@pytest.mark.parametrize("left", [0, 8])
@pytest.mark.parametrize("request_of", [VirtioBlk.discard, VirtioBlk.write_zeroes], ids=["discard", "write-zeroes"])
def test_c7_a_request_whose_range_is_gone_fails_and_changes_no_byte(
    tmp_path: Path, request_of: Callable[[VirtioBlk, Segment], None], left: int
) -> None:
    with scene(emulators.wanted("patched"), tmp_path, VIRTIO_BLK, graphs.UNMAPPING) as set_up:
        assert isinstance(set_up.disk, VirtioBlk)
        described = sector_range(SECTOR, COUNT)
        begin = AT + PAGE - left
        place = Segment(set_up.machine.address + begin, len(described))
        set_up.machine.fill_bar(begin, described)
        before = set_up.unchanged()
        set_up.machine.cut_bar(AT + PAGE)
        with pytest.raises(RequestFailed):
            request_of(set_up.disk, place)
        assert set_up.unchanged() == before
        set_up.machine.bring_bar_back()
        set_up.machine.fill_bar(begin, described)
        request_of(set_up.disk, place)
        set_up.contents[SECTOR * BLOCK : (SECTOR + COUNT) * BLOCK] = bytes(COUNT * BLOCK)
