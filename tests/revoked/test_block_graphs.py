# SPDX-License-Identifier: GPL-2.0-or-later
"""C7 below virtio-blk: no block driver gets to see made-up data, whatever it does with data."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.request import RequestFailed
from machines import emulators
from revoked import graphs
from revoked.graphs import Graph
from revoked.models import VIRTIO_BLK
from revoked.scene import BAR_SIZE, CUTS, Cut, scene

EVERY_CUT = pytest.mark.parametrize("cut", CUTS, ids=str)
EVERY_GRAPH = pytest.mark.parametrize("graph", graphs.ALL, ids=lambda graph: graph.name)


@EVERY_CUT
@EVERY_GRAPH
def test_c7_a_write_whose_data_is_gone_fails_and_changes_no_byte(tmp_path: Path, graph: Graph, cut: Cut) -> None:
    graphs.want(graph, tmp_path)
    with scene(emulators.wanted("patched"), tmp_path, VIRTIO_BLK, graph) as set_up:
        before = set_up.unchanged()
        set_up.cut(cut)
        with pytest.raises(RequestFailed):
            set_up.write(cut.size)
        set_up.disk.flush()
        assert set_up.unchanged() == before
        set_up.works(cut.size)


@EVERY_CUT
@EVERY_GRAPH
def test_c7_a_read_into_a_bar_that_is_gone_is_dropped_and_changes_no_byte(
    tmp_path: Path, graph: Graph, cut: Cut
) -> None:
    graphs.want(graph, tmp_path)
    with scene(emulators.wanted("patched"), tmp_path, VIRTIO_BLK, graph) as set_up:
        set_up.machine.fill_bar(0, bytes(BAR_SIZE))
        before = set_up.unchanged()
        set_up.cut(cut)
        set_up.answered(cut.size)
        assert set_up.unchanged() == before
        set_up.works(cut.size)
