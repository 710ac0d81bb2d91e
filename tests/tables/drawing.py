# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures as files: the same figure gives the same file, with the same version of matplotlib (requirements.txt)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

# Text stays text: as outlines it would be most of the file.
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "ram-device", "svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"], "font.size": 9,
    "axes.grid": True, "grid.alpha": 0.3,
}  # fmt: skip
# What the file would tell of when and by what it was made.
NO_METADATA = {"Date": None, "Creator": None}
LICENCE = "<!-- SPDX-License-Identifier: GPL-2.0-or-later -->"


def save(figure: Callable[[], Figure], path: Path) -> Path:
    """Make the figure, and its file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(SETTINGS):
        figure().savefig(path, metadata=NO_METADATA)
    path.write_text(path.read_text(encoding="utf-8").replace("?>\n", f"?>\n{LICENCE}\n", 1), encoding="utf-8")
    return path
