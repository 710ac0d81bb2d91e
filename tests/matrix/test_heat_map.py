# SPDX-License-Identifier: GPL-2.0-or-later
"""The heat map has a panel for each emulator, in which each cell tells how many of its combinations were ok."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from matrix.dimensions import BLK, IO_ERROR, LOWER, NVME, OK, READ, UPPER, WRITE, Case, Disk
from matrix.jobs import Outcome

pytestmark = pytest.mark.exhaustive

DISK = Disk("file", "raw", "none", "native")


@pytest.fixture
def heat_map() -> ModuleType:
    """The module, where there is what it wants."""
    reason = "there is no matplotlib here: tests/tables/requirements.txt"
    module: ModuleType = pytest.importorskip("matrix.heat_map", reason=reason)
    return module


def outcome(variant: str, device: str, place: str, operation: str, verdict: str) -> Outcome:
    return Outcome(variant, Case(device, operation, place, 512, DISK), verdict, "")


OUTCOMES = [
    outcome("one", BLK, UPPER, READ, OK),
    outcome("one", BLK, UPPER, WRITE, OK),
    outcome("one", NVME, LOWER, READ, OK),
    outcome("other", BLK, UPPER, READ, OK),
    outcome("other", BLK, UPPER, WRITE, IO_ERROR),
]


def test_each_emulator_has_its_cells(heat_map: ModuleType) -> None:
    """Nothing was asked of the lower BAR with virtio-blk, nor at all of NVMe on the other emulator."""
    one, other, *_ = heat_map.figure_of(OUTCOMES).axes
    assert [panel.get_title() for panel in (one, other)] == ["one", "other"]
    assert [label.get_text() for label in one.get_yticklabels()] == [BLK, NVME]
    assert [label.get_text() for label in other.get_xticklabels()] == [LOWER, UPPER]
    assert {text.get_position(): text.get_text() for text in one.texts} == {(1, 0): "2/2", (0, 1): "1/1"}
    assert {text.get_position(): text.get_text() for text in other.texts} == {(1, 0): "1/2"}
    assert one.images[0].get_array().filled(-1).tolist() == [[-1, 1], [1, -1]]
    assert other.images[0].get_array().filled(-1).tolist() == [[-1, 0.5], [-1, -1]]


def test_the_file_depends_on_the_outcomes_alone(heat_map: ModuleType, tmp_path: Path) -> None:
    first, second = (heat_map.draw("vm", OUTCOMES, tmp_path / folder).read_bytes() for folder in ("first", "second"))
    assert first == second
    assert ElementTree.fromstring(first).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"2/2" in first
