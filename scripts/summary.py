# SPDX-License-Identifier: GPL-2.0-or-later
"""Say how long `make` took and what it downloaded."""

from __future__ import annotations

import argparse
import time
from pathlib import Path


def main() -> None:
    """Print two lines or more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("downloads", type=Path, help="lines of bytes and names; DOWNLOADS.began has the run's begin")
    downloads = parser.parse_args().downloads
    lines = downloads.read_text(encoding="utf-8").splitlines() if downloads.is_file() else []
    fetched = [(int(size), name) for size, _, name in (line.partition("\t") for line in lines)]
    minutes, seconds = divmod(round(time.time() - downloads.with_suffix(".began").stat().st_mtime), 60)
    print(f"-- took {minutes} min {seconds} s, downloaded {sum(size for size, _ in fetched) / 1e6:.1f} MB"
          + (":" if fetched else ""))
    for size, name in sorted(fetched, reverse=True):
        print(f"--   {size / 1e3:8.0f} kB  {name}")


if __name__ == "__main__":
    main()
