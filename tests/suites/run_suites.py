#!/usr/bin/env -S python3 -P -S
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs QEMU's own suites on stock and patched builds, side by side, and tells where they differ.

    run_suites.py --pair NAME STOCK_BUILD PATCHED_BUILD [--pair ...] [SUITE ...]

Exits with 1 if a case says something else on the patched build, if a test that the series brings fails, or if none of
the builds has a suite. That some have one and others don't, as with Rust's and builds without Rust, is as it should be.

Programs that differ are run again, once and alone: some of QEMU's need more time than a busy machine has. That what
differed is the same then may be so in one program of all; a second one is a difference, as if it were still there.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from suites.side_by_side import Comparison, compare, counts
from suites.without_firmware import CASES, LEFT_OUT, PROGRAMS

SUITES = ("unit", "rust", "qtest-aarch64", "func-quick", "func-thorough")
MAY_BE_UNSTEADY = 1
OMISSIONS: dict[str, Sequence[str]] = {name: tuple(CASES.get(name, ())) for name in (*CASES, *PROGRAMS)}


def tell(pair: str, made: Comparison, seconds: float) -> None:
    """One suite in some lines."""
    print(f"{made.suite}, {pair} ({seconds:.0f} s)")
    print(f"   stock:   {counts(made.first)}")
    print(f"   patched: {counts(made.second)}")
    if made.added:
        print(f"   brought: {counts(made.added)}")
    wrong = [*made.differences(), *made.failures()]
    print(f"   differences: {len(wrong) or 'none'}", *wrong, sep="\n      ", flush=True)
    if made.unsteady:
        print("   different at first, and the same when run again:", *made.unsteady, sep="\n      ", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pair", nargs=3, action="append", required=True, metavar=("NAME", "STOCK", "PATCHED"))
    parser.add_argument("suites", nargs="*", default=SUITES, metavar="SUITE", help=f"default: {' '.join(SUITES)}")
    chosen = parser.parse_args()
    different, missing = 0, set(chosen.suites)
    unsteady: list[str] = []
    for name, *builds in chosen.pair:
        stock, patched = map(Path, builds)
        for build in (stock, patched):
            if not (build / "meson-info" / "intro-tests.json").is_file():
                parser.error(f"{build} is no build of QEMU's: it has no meson-info")
        for suite in chosen.suites:
            begun = time.monotonic()
            made = compare(suite, (stock, patched), OMISSIONS)
            if not made.first and not made.added:
                print(f"{suite}, {name}: none in this build", flush=True)
                continue
            missing.discard(suite)
            tell(name, made, time.monotonic() - begun)
            different += len(made.differences()) + len(made.failures())
            unsteady += dict.fromkeys(told.partition(":")[0] for told in made.unsteady)
    for name, firmware in LEFT_OUT.items():
        print(f"left out: {name}: needs firmware that is not to be had here: {firmware}")
    for suite in sorted(missing):
        print(f"{suite}: asked for, but no build has a test of it; their meson-info/intro-tests.json say what is there")
    names = ", ".join(unsteady) or "-"
    print(f"{len(unsteady)} programs were different at first, of {MAY_BE_UNSTEADY} that may: {names}")
    print(f"{different or 'no'} differences")
    return 1 if different or missing or len(unsteady) > MAY_BE_UNSTEADY else 0


if __name__ == "__main__":
    sys.exit(main())
