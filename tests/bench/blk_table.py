# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of virtio-blk into a BAR."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.blk_drives import NULL
from bench.blk_speed import Row
from bench.ratio import aligned

HEADINGS = ("", "RAM us", "RAM CPU us", "speed min", "median", "max", "CPU min", "median", "max", "harness", "CPU")


def _spread(ratios: Sequence[float]) -> list[str]:
    return [f"{ratio:.2f}" for ratio in (min(ratios), median(ratios), max(ratios))]


def _harness(row: Row, rows: Sequence[Row]) -> list[str]:
    """What the same requests take on null-co, as parts of what those in RAM take."""
    null = next((other for other in rows if other.drive == NULL and other.place == row.place
                 and (other.what, other.from_disk) == (row.what, row.from_disk)), None)  # fmt: skip
    if null is None or row.drive == NULL:
        return ["", ""]
    shares = ((null.ram.wall, row.ram.wall), (null.ram.cpu, row.ram.cpu))
    return [f"{100 * median(without) / median(whole):.0f} %" for without, whole in shares]


def _cells(row: Row, rows: Sequence[Row]) -> tuple[str, ...]:
    costs = [f"{median(times) / 1000:.1f}" for times in (row.ram.wall, row.ram.cpu)]
    return (row.what, *costs, *_spread(row.speed()), *_spread(row.processor_time()), *_harness(row, rows))


def table(rows: Sequence[Row]) -> str:
    """Each place's rows, drive by drive, in columns: RAM's time by the place's, the place's CPU time by RAM's."""
    places = list(dict.fromkeys(row.place for row in rows))
    ordered = sorted(rows, key=lambda row: places.index(row.place))
    headings, *lines = aligned([HEADINGS, *(_cells(row, rows) for row in ordered)])
    printed, heading = [headings], ""
    for row, line in zip(ordered, lines, strict=True):
        if heading != (heading := f"{row.place}: {row.drive}"):
            printed += ["", heading]
        printed.append(line)
    return "\n".join(printed)
