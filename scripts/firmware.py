# SPDX-License-Identifier: GPL-2.0-or-later
"""Firmware for a QEMU tree whose source comes without it, as Debian's does.

Meson wants the archives that pc-bios/meson.build lists even where nothing is installed from them. Empty archives do;
they are ignored by git, so that the tree stays what the series makes of it. Where an emulator finds real firmware is
the distribution's, named when QEMU is configured.
"""

from __future__ import annotations

import bz2
import re
from pathlib import Path

from workplace import Workplace

DISTRIBUTION = ("/usr/share/qemu", "/usr/share/seabios", "/usr/lib/ipxe/qemu")


def supply(place: Workplace, tree: Path) -> None:
    """Write an empty archive for each one that is listed and missing."""
    listing = tree / "pc-bios" / "meson.build"
    if not listing.is_file():
        return
    names = re.findall(r"'(edk2-[\w-]+\.fd)'", listing.read_text(encoding="utf-8"))
    missing = [path for name in names if not (path := tree / "pc-bios" / f"{name}.bz2").exists()]
    if missing:
        exclude = place.repository / "info" / "exclude"
        exclude.parent.mkdir(exist_ok=True)
        exclude.write_text("".join(f"/pc-bios/{name}.bz2\n" for name in names))
    for path in missing:
        path.write_bytes(bz2.compress(b""))


def link(build: Path) -> None:
    """Let an emulator that runs from its build folder find what an installed one would find."""
    bundle = build / "qemu-bundle"
    for folder in filter(Path.is_dir, map(Path, DISTRIBUTION)):
        shown = bundle / folder.relative_to("/")
        shown.parent.mkdir(parents=True, exist_ok=True)
        if not shown.is_symlink():
            shown.symlink_to(folder)
