# SPDX-License-Identifier: GPL-2.0-or-later
"""Say at the end of `make` where the emulator is, what to do with it, and what it took."""

from __future__ import annotations

import argparse
import time
from pathlib import Path


def main() -> None:
    """Print three lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("downloads", type=Path, help="lines of bytes and names; DOWNLOADS.began has the run's begin")
    parser.add_argument("build", type=Path, help="the folder that the emulators were built in")
    parser.add_argument("install", help="the command that installs them")
    chosen = parser.parse_args()
    downloads = chosen.downloads
    lines = downloads.read_text(encoding="utf-8").splitlines() if downloads.is_file() else []
    megabytes = sum(int(line.partition("\t")[0]) for line in lines) / 1e6
    minutes, seconds = divmod(round(time.time() - downloads.with_suffix(".began").stat().st_mtime), 60)
    emulators = sorted(path for path in chosen.build.glob("qemu-system-*") if path.is_file())
    print(f"-- the emulator: {' '.join(map(str, emulators))}")
    print(f"-- to install it: {chosen.install}")
    print(f"-- it took {minutes} min {seconds} s, and {megabytes:.0f} MB were downloaded")


if __name__ == "__main__":
    main()
