# SPDX-License-Identifier: GPL-2.0-or-later
"""The plots of make bench show the rows that were measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from bench.places import BOUNCED, RAM
from bench.ratio import KIB
from bench.turns import Row, Series

pytestmark = pytest.mark.exhaustive

RUN_BENCH = Path(__file__).with_name("run_bench.py")
TESTS = Path(__file__).resolve().parents[1]
THREADS, NULL, STOCK = "page cache, threads", "null-co", "stock's BAR"
GREATEST_FILE = 100 * KIB


@pytest.fixture
def plots() -> ModuleType:
    """The module, where there is what it wants."""
    reason = "there is no matplotlib here: tests/tables/requirements.txt"
    module: ModuleType = pytest.importorskip("bench.plots", reason=reason)
    return module


def series(*microseconds: float) -> Series:
    """Rounds, half of whose time is the processor's."""
    return Series([1e3 * each for each in microseconds], [500 * each for each in microseconds])


def rows(device: str) -> list[Row]:
    """Two sizes, both ways, in two places; stock's RAM is slower."""
    return [
        Row(device, place, kind, size, series(*ram), series(2, 4, 3))
        for place, ram in ((BOUNCED, (1, 1, 2)), (STOCK, (9, 9, 9)))
        for kind in ("read", "write")
        for size in (4 * KIB, 1024 * KIB)
    ]


def test_curves_are_medians_with_the_range_of_rounds(plots: ModuleType) -> None:
    """RAM's curve is the first emulator's. 1 MiB in 3 us is 325.5 GiB/s, for 1536 us of processor time per GiB."""
    figure = plots.figure_of("title", rows(THREADS))
    assert [axes.get_title() for axes in figure.axes] == ["read", "write"] * 2
    speed, processor_time = figure.axes[::2]
    assert [curve.get_label() for curve in speed.containers] == [RAM, BOUNCED, STOCK]
    ram, bar, stock = (curve.lines[0].get_xydata() for curve in speed.containers)
    assert list(bar[:, 0]) == [4 * KIB, 1024 * KIB]
    assert ram[1] == pytest.approx([1024 * KIB, 1e6 / 1024])
    assert bar[1] == pytest.approx([1024 * KIB, 1e6 / 1024 / 3])
    assert stock[1] == pytest.approx(bar[1])
    (whiskers,) = speed.containers[1].lines[2]
    assert whiskers.get_segments()[1][:, 1] == pytest.approx([1e6 / 1024 / 4, 1e6 / 1024 / 2])
    assert processor_time.containers[1].lines[0].get_xydata()[1] == pytest.approx([1024 * KIB, 1.5e-6 * 1024])


def test_each_device_has_a_file_that_depends_on_the_rows_alone(plots: ModuleType, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        list(plots.draw("virtio-blk", [*rows(NULL), *rows(THREADS)], tmp_path / folder))
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / at).iterdir()} for at in ("first", "second"))
    assert first == second
    assert set(first) == {"virtio-blk-null-co.svg", "virtio-blk-page-cache-threads.svg"}
    for content in first.values():
        assert len(content) < GREATEST_FILE
        assert ElementTree.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"
        assert b"<dc:date>" not in content


def test_without_matplotlib_plots_are_refused_before_anything_is_measured(tmp_path: Path) -> None:
    """-S is without what is installed."""
    arguments = ["--stock", "none", "--patched", "none", "--work", str(tmp_path / "work"), "--plots", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-B", "-P", "-S", str(RUN_BENCH), *arguments], text=True, capture_output=True, check=False,
        env=os.environ | {"PYTHONPATH": f"{TESTS}:{TESTS.parent / 'scripts'}"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "run_bench: --plots wants matplotlib, but there is no matplotlib here: " in done.stderr
    assert not (tmp_path / "work").exists()
