# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 where an access waits for the device before it fails: DMA waits once, not once for each piece of a request."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.request import RequestFailed, Segment, wait_until
from machines import emulators, preloaded
from revoked.models import VIRTIO_BLK
from revoked.scene import AT, FIRST, PAGE, scene

PIECES, WAIT_SECONDS, WAITED = 16, 6, "an access has waited"
# After a wait that has failed nothing is tried for as long.
ENOUGH_SECONDS = 300


@pytest.mark.parametrize("from_disk", [True, False], ids=["read", "write"])
def test_c7_a_request_of_many_pieces_waits_once_for_a_device_that_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, from_disk: bool
) -> None:
    source = Path(__file__).with_name("other_sigbus.c")
    monkeypatch.setenv("LD_PRELOAD", str(preloaded.build(tmp_path, source, f"-DSECONDS={WAIT_SECONDS}")))
    with scene(emulators.wanted("patched"), tmp_path, VIRTIO_BLK) as set_up:
        pieces = [Segment(set_up.machine.address + AT + 2 * PAGE * number, PAGE) for number in range(PIECES)]
        before = set_up.unchanged()
        set_up.machine.cut_bar()
        with suppress(RequestFailed):
            set_up.disk.transfer(from_disk, FIRST, pieces, ENOUGH_SECONDS)
        waits = set_up.machine.emulator.messages().count(WAITED)
        # Some, if the machine was so busy that the rest took longer than the first piece had waited.
        assert 1 <= waits < PIECES // 2
        assert set_up.unchanged() == before

        set_up.bring_bar_back()

        def works() -> bool:
            try:
                set_up.write(PAGE)
            except RequestFailed:
                return False
            return True

        written = random.Random(PIECES).randbytes(PAGE)
        set_up.machine.fill_bar(AT, written)
        wait_until(works, "a request that is tried again", ENOUGH_SECONDS)
        set_up.take_over(PAGE)
