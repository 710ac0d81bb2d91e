# SPDX-License-Identifier: GPL-2.0-or-later
"""Fuzzes DMA into RAM devices with libFuzzer, in an emulator that has ASan and UBSan.

    run_fuzz.py --fuzzer PROGRAM --work FOLDER [--seconds N]

It begins with the inputs of corpus.hex, and keeps what it learns in the folder, for the next run. An input that ends
the emulator, or after which a byte is wrong, stays in the folder; its name is printed last.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sanitized import fuzzer
from sanitized.fuzzer import FuzzingFailed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fuzzer", type=Path, required=True, help="qemu-fuzz-aarch64 with the series")
    parser.add_argument("--work", type=Path, required=True, help="folder for the inputs and the messages")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: 60)")
    given = parser.parse_args()
    try:
        counts = fuzzer.run(given.fuzzer, given.work, given.seconds)
    except FuzzingFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    print(f"{counts}\nnothing was wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
