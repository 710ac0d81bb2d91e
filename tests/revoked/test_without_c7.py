# SPDX-License-Identifier: GPL-2.0-or-later
"""What the same requests do where C7 doesn't hold: where x-ram-device-direct=on hands out pointers.

Stock has neither the test device nor another one here whose BAR could go away; tests/storm shows what it does.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from drivers.request import RequestFailed
from machines import emulators
from machines.qtest_client import EmulatorError
from revoked import graphs
from revoked.graphs import Graph
from revoked.models import USB, VIRTIO_BLK, Model
from revoked.scene import AT, CUTS, KIB, Cut, scene

SECTOR = CUTS[0]
# Those where QEMU itself looks at the data, or copies it.
LOOKING = [(VIRTIO_BLK, graph) for graph in (graphs.LUKS, graphs.DETECT_ZEROES, graphs.DETECT_AND_UNMAP)]
COPYING = [(USB, graphs.RAW)]


class Ended(Exception):
    """The emulator has ended, so there is nothing to look at."""


@pytest.mark.parametrize(("model", "graph"), LOOKING + COPYING, ids=lambda part: part.name)
def test_with_pointers_a_request_whose_data_is_gone_ends_the_machine_where_qemu_looks_at_it(
    tmp_path: Path, model: Model, graph: Graph
) -> None:
    graphs.want(graph, tmp_path)
    emulator = emulators.wanted("patched")
    with pytest.raises(Ended), scene(emulator, tmp_path, model, graph, direct=True) as set_up:
        set_up.cut(SECTOR)
        with pytest.raises(EmulatorError):
            set_up.write(SECTOR.size)
        assert set_up.machine.emulator.ended_by_signal() == signal.SIGBUS
        raise Ended


def test_with_pointers_a_write_half_of_whose_data_is_gone_fails_and_has_changed_the_disk(tmp_path: Path) -> None:
    cut = Cut(64 * KIB, 32 * KIB)
    with scene(emulators.wanted("patched"), tmp_path, VIRTIO_BLK, direct=True) as set_up:
        set_up.machine.fill_bar(AT, b"\xa5" * cut.size)
        set_up.cut(cut)
        with pytest.raises(RequestFailed):
            set_up.write(cut.size)
        assert set_up.unchanged() == set_up.take_over(cut.left)
