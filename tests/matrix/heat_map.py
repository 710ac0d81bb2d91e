# SPDX-License-Identifier: GPL-2.0-or-later
"""The matrix as a picture: of each device and place of its data, how many of the combinations were ok."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import nan
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from matrix.dimensions import OK
from matrix.jobs import Outcome
from tables.drawing import save

WIDTH, HEIGHT = 9, 4.2  # of a panel, in inches
# Dark is bad, in shades that colour-blind people can tell apart.
COLOURS, DARK = "cividis", 0.5

Cell = tuple[str, str]


def counted(outcomes: Sequence[Outcome], variant: str) -> tuple[Counter[Cell], Counter[Cell]]:
    """Of each device and place on that emulator, how many combinations were ok, and how many there were."""
    cells = [(outcome, (outcome.case.device, outcome.case.place)) for outcome in outcomes if outcome.variant == variant]
    return Counter(cell for outcome, cell in cells if outcome.verdict == OK), Counter(cell for _, cell in cells)


def _panel(axes: Axes, outcomes: Sequence[Outcome], variant: str, places: Sequence[str]) -> AxesImage:
    """One emulator: a cell is white where nothing was asked."""
    good, asked = counted(outcomes, variant)
    devices = list(dict.fromkeys(outcome.case.device for outcome in outcomes))
    cells = [[(device, place) for place in places] for device in devices]
    shares = [[good[cell] / asked[cell] if asked[cell] else nan for cell in row] for row in cells]
    image = axes.imshow(shares, vmin=0, vmax=1, cmap=COLOURS, aspect="auto")
    for y, row in enumerate(cells):
        for x, cell in enumerate(row):
            if asked[cell]:
                colour = "black" if shares[y][x] > DARK else "white"
                axes.text(x, y, f"{good[cell]}/{asked[cell]}", ha="center", va="center", color=colour, fontsize=8)
    axes.set_title(variant)
    axes.set_yticks(range(len(devices)), devices)
    axes.grid(visible=False)
    return image


def figure_of(outcomes: Sequence[Outcome]) -> Figure:
    """A panel for each emulator, one below the other."""
    variants = list(dict.fromkeys(outcome.variant for outcome in outcomes))
    places = sorted({outcome.case.place for outcome in outcomes}, key=lambda place: (len(place), place))
    figure = Figure(figsize=(WIDTH, HEIGHT * len(variants)), layout="constrained")
    panels = figure.subplots(len(variants), 1, sharex=True, squeeze=False)[:, 0]
    for variant, axes in zip(variants, panels, strict=True):
        image = _panel(axes, outcomes, variant, places)
    panels[-1].set_xticks(range(len(places)), places, rotation=25, ha="right")
    figure.colorbar(image, ax=list(panels), label="part of the combinations that were ok", shrink=0.4)
    return figure


def draw(where: str, outcomes: Sequence[Outcome], folder: Path) -> Path:
    """Make the figure's file."""
    return save(lambda: figure_of(outcomes), folder / f"matrix-{where}.svg")
