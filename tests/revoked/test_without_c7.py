# SPDX-License-Identifier: GPL-2.0-or-later
"""What the same requests do where C7 doesn't hold.

That is in stock QEMU, whose accesses to RAM devices are those of the emulator without Rust (stock has no such test
device), and where x-ram-device-direct=on hands out pointers.
"""

from __future__ import annotations

import signal
from pathlib import Path

import graphs
import models
import pytest
from drivers.request import RequestFailed
from graphs import Graph
from machines import emulators
from machines.qtest_client import EmulatorError
from models import USB, VIRTIO_BLK, Model
from scene import AT, CUTS, KIB, Cut, scene

SECTOR = CUTS[0]
EVERY_MODEL = pytest.mark.parametrize("model", models.ALL, ids=lambda model: model.name)
BOTH_WAYS = pytest.mark.parametrize("from_disk", [False, True], ids=["write", "read"])
# Those where QEMU itself looks at the data, or copies it.
LOOKING = [(VIRTIO_BLK, graph) for graph in (graphs.LUKS, graphs.DETECT_ZEROES, graphs.DETECT_AND_UNMAP)]
COPYING = [(USB, graphs.RAW)]


class Ended(Exception):
    """The emulator has ended, so there is nothing to look at."""


def assert_sigbus_ends(emulator: Path, folder: Path, model: Model, graph: Graph, from_disk: bool, direct: bool) -> None:
    with pytest.raises(Ended), scene(emulator, folder, model, graph, direct=direct) as set_up:
        set_up.cut(SECTOR)
        with pytest.raises(EmulatorError):
            set_up.disk.transfer(from_disk, 0, set_up.data(SECTOR.size))
        assert set_up.machine.emulator.ended_by_signal() == signal.SIGBUS
        raise Ended


@BOTH_WAYS
@EVERY_MODEL
def test_without_rust_a_request_whose_data_is_gone_ends_the_machine(
    tmp_path: Path, model: Model, from_disk: bool
) -> None:
    assert_sigbus_ends(emulators.wanted("norust"), tmp_path, model, graphs.RAW, from_disk, direct=False)


@pytest.mark.parametrize(("model", "graph"), LOOKING + COPYING, ids=lambda part: part.name)
def test_with_pointers_a_request_whose_data_is_gone_ends_the_machine_where_qemu_looks_at_it(
    tmp_path: Path, model: Model, graph: Graph
) -> None:
    graphs.want(graph, tmp_path)
    assert_sigbus_ends(emulators.wanted("patched"), tmp_path, model, graph, from_disk=False, direct=True)


def test_with_pointers_a_write_half_of_whose_data_is_gone_fails_and_has_changed_the_disk(tmp_path: Path) -> None:
    cut = Cut(64 * KIB, 32 * KIB)
    with scene(emulators.wanted("patched"), tmp_path, VIRTIO_BLK, direct=True) as set_up:
        set_up.machine.fill_bar(AT, b"\xa5" * cut.size)
        set_up.cut(cut)
        with pytest.raises(RequestFailed):
            set_up.write(cut.size)
        assert set_up.unchanged() == set_up.take_over(cut.left)
