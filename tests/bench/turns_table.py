# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of virtio requests into a BAR beside those into RAM."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.blk_drives import NULL
from bench.ratio import aligned
from bench.turns import Row

HEADINGS = ("", "RAM us", "RAM CPU us", "speed min", "median", "max", "CPU min", "median", "max")
HARNESS = ("harness", "CPU")


def _spread(ratios: Sequence[float]) -> list[str]:
    return [f"{ratio:.2f}" for ratio in (min(ratios), median(ratios), max(ratios))]


def _harness(row: Row, nulls: Sequence[Row]) -> list[str]:
    """What the same requests take on null-co, as parts of what those in RAM take."""
    null = next((null for null in nulls if (null.place, null.what) == (row.place, row.what)), None)
    if null is None or row is null:
        return ["", ""]
    shares = ((null.ram.wall, row.ram.wall), (null.ram.cpu, row.ram.cpu))
    return [f"{100 * median(without) / median(whole):.0f} %" for without, whole in shares]


def _cells(row: Row, nulls: Sequence[Row]) -> tuple[str, ...]:
    costs = [f"{median(times) / 1000:.1f}" for times in (row.ram.wall, row.ram.cpu)]
    harness = _harness(row, nulls) if nulls else []
    return (row.what, *costs, *_spread(row.speed()), *_spread(row.processor_time()), *harness)


def table(rows: Sequence[Row]) -> str:
    """Each place's rows, device by device, in columns: RAM's time by the place's, the place's CPU time by RAM's."""
    places = list(dict.fromkeys(row.place for row in rows))
    ordered = sorted(rows, key=lambda row: places.index(row.place))
    nulls = [row for row in rows if row.device == str(NULL)]
    all_headings = (*HEADINGS, *HARNESS) if nulls else HEADINGS
    headings, *lines = aligned([all_headings, *(_cells(row, nulls) for row in ordered)])
    printed, heading = [headings], ""
    for row, line in zip(ordered, lines, strict=True):
        if heading != (heading := f"{row.place}: {row.device}"):
            printed += ["", heading]
        printed.append(line)
    return "\n".join(printed)
