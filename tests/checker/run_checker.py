#!/usr/bin/env -S python3 -P -S
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks what an emulator makes of DMA into the memory of a passed-through PCI device.

    run_checker.py /usr/bin/qemu-system-aarch64 [--json] [--peer PROGRAM] [--patience SECONDS]

Neither a GPU nor KVM nor root is needed. docs/checker.md says what is looked at. Exit status: 0 fine, 1 affected,
2 it couldn't be checked.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path

# All that it imports is below tests/ or in scripts/.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checker import peer, report
from checker.check import check
from checker.findings import NOT_CHECKED, Findings
from checker.subject import PATIENCE, CannotCheck, probe
from machines.qtest_client import EmulatorError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("emulator", type=Path, help="qemu-system-aarch64 or qemu-system-x86_64, 10.1 or newer")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--peer", type=Path, help="a built vfio-user-gpu; without it cargo builds it")
    never = f"what isn't answered in {PATIENCE:g} s counts as never answered; more for a slow host"
    parser.add_argument("--patience", type=float, default=PATIENCE, metavar="SECONDS", help=never)
    chosen = parser.parse_args()
    if not chosen.patience > 0:
        parser.error("--patience is a number of seconds above 0")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(NOT_CHECKED))  # ends the emulator and the peer as well
    try:
        findings = checked(chosen.emulator, chosen.peer, chosen.patience)
        print(report.as_json(findings) if chosen.json else report.table(findings), flush=True)
    except CannotCheck as why:
        return not_checked(str(why))
    except EmulatorError as error:
        return not_checked(f"{chosen.emulator} ended, or went wrong, in a way that says nothing of DMA: {error}")
    except Exception as error:  # Python's own status would be 1, which is "affected"
        at = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(at.filename).name}:{at.lineno}"
        return not_checked(f"something unexpected, which says nothing of {chosen.emulator}: {error!r} in {place}")
    return findings.status


def checked(emulator: Path, peer_program: Path | None, patience: float) -> Findings:
    """What there is to be said of the emulator."""
    begun = time.monotonic()

    def progress(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.1f} s] {text}", file=sys.stderr, flush=True)

    subject = replace(probe(emulator), patience=patience)
    if not peer_program:
        progress("building the peer")
    program = peer_program or peer.build(progress)
    with tempfile.TemporaryDirectory(prefix="checker-") as name:
        return check(subject, program, Path(name), progress)


def not_checked(why: str) -> int:
    """Say so; the exit status that means it."""
    print(f"checker: {why}", file=sys.stderr)
    return NOT_CHECKED


if __name__ == "__main__":
    sys.exit(main())
