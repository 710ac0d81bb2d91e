# SPDX-License-Identifier: GPL-2.0-or-later
"""Plots of virtio requests whose data is in RAM and in other places: throughput and processor time by size."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from bench.places import BOUNCED, DIRECT, RAM, SMALL_PAGES, UNPINNABLE
from bench.ratio import size
from bench.turns import Row, Series
from tables.drawing import save

GIB = 1 << 30
WIDTH, HEIGHT = 9, 7
# Colours that colour-blind people can tell apart, and markers.
STYLES = {
    RAM: ("black", "o"), SMALL_PAGES: ("#999999", "s"), BOUNCED: ("#d55e00", "D"), UNPINNABLE: ("#e69f00", "v"),
    DIRECT: ("#0072b2", "^"),
}  # fmt: skip
STOCKS_STYLE = ("#cc79a7", "x")


def throughput(length: int, series: Series) -> list[float]:
    """In GiB/s, round by round."""
    return [length / ns * 1e9 / GIB for ns in series.wall]


def processor_time(length: int, series: Series) -> list[float]:
    """In seconds per GiB."""
    return [ns / 1e9 * GIB / length for ns in series.cpu]


PANELS: dict[str, Callable[[int, Series], list[float]]] = {
    "GiB/s": throughput,
    "processor time, s per GiB": processor_time,
}


def curves(rows: Sequence[Row]) -> dict[str, dict[int, Series]]:
    """Of each place what requests of each size take; RAM's are those of the emulator that comes first."""
    found: dict[str, dict[int, Series]] = {RAM: {}}
    for row in rows:
        found[RAM].setdefault(row.size, row.ram)
        found.setdefault(row.place, {})[row.size] = row.other
    return found


def _draw_curves(axes: Axes, rows: Sequence[Row], quantity: Callable[[int, Series], list[float]]) -> None:
    """Medians, and whiskers from the smallest to the largest round."""
    for place, points in curves(rows).items():
        color, marker = STYLES.get(place, STOCKS_STYLE)
        rounds = [quantity(length, series) for length, series in points.items()]
        middles = [median(values) for values in rounds]
        below = [middle - min(values) for middle, values in zip(middles, rounds, strict=True)]
        above = [max(values) - middle for middle, values in zip(middles, rounds, strict=True)]
        axes.errorbar(list(points), middles, yerr=[below, above], label=place, color=color, marker=marker,
                      markersize=4, linewidth=1.2, elinewidth=0.8)  # fmt: skip


def figure_of(title: str, rows: Sequence[Row]) -> Figure:
    """A column of panels for each kind of requests."""
    kinds = list(dict.fromkeys(row.kind for row in rows))
    sizes = sorted({row.size for row in rows})
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplots(len(PANELS), len(kinds), sharex=True, sharey="row", squeeze=False)
    for (label, quantity), row_of_panels in zip(PANELS.items(), panels, strict=True):
        for kind, axes in zip(kinds, row_of_panels, strict=True):
            _draw_curves(axes, [row for row in rows if row.kind == kind], quantity)
            axes.set(title=kind, xscale="log", yscale="log")
            axes.set_xticks(sizes, [size(length) for length in sizes])
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
        row_of_panels[0].set_ylabel(label)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def draw(section: str, rows: Sequence[Row], folder: Path) -> Iterator[Path]:
    """Make a figure of each device; their files."""
    for device in dict.fromkeys(row.device for row in rows):
        name = re.sub(r"[\W_]+", "-", f"{section} {device}".lower())
        title, those = f"{section}: {device}", [row for row in rows if row.device == device]
        yield save(partial(figure_of, title, those), folder / f"{name}.svg")
