#!/usr/bin/env -S python3 -P -S
# SPDX-License-Identifier: GPL-2.0-or-later
"""Moves data between disks and a BAR while disks are reset, the VM stops and the BAR goes away.

    run_soak.py --patched EMULATOR --work FOLDER [--seconds N] [--seed N]

A seed decides what is done; each machine has another one, which is printed. The first thing that is wrong ends it, and
leaves the disks and the emulator's messages in the folder.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from pool.soak import Counts, soak

STEPS = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patched", type=Path, required=True, help="the emulator with the series")
    parser.add_argument("--work", type=Path, required=True, help="folder for the disks, the BAR and the messages")
    parser.add_argument("--seconds", type=float, default=600, help="begin no machine after so long (default: 600)")
    parser.add_argument("--seed", type=int, default=1, help="of the first machine")
    given = parser.parse_args()
    begun, seed, total = time.monotonic(), given.seed, Counts()
    while seed == given.seed or time.monotonic() - begun < given.seconds:
        work = given.work.resolve()
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        print(f"[{time.monotonic() - begun:6.1f} s] seed {seed}", flush=True)
        total += soak(given.patched.resolve(), work, seed, STEPS)
        seed += 1
    shutil.rmtree(work)
    print(f"{seed - given.seed} machines in {time.monotonic() - begun:.0f} s: {total}; nothing was wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
