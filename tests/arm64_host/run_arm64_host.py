#!/usr/bin/env -S python3 -P -S
# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests into the BARs of nvgrace-gpu and vfio-pci on arm64 hosts, and what takes these BARs away: all of it.

    run_arm64_host.py --arm64 EMULATOR --work FOLDER [--host NAME ...]
    run_arm64_host.py --packages FOLDER --work FOLDER [--host NAME ...]

The hosts are outer VMs with Debian's kernels; the emulator is one for arm64 hosts. Debian's own is run beside it. The
emulator of packages is asked for the requests alone, with its CPU stopped, as it has no qtest accelerator.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from arm64_host import asked, storms
from arm64_host.asked import DIRECT, MEMORIES, OURS, STOCK, STOPPED, Asked
from arm64_host.places import HOSTS, Host
from machines.error import MachineError, NotAvailable
from storm import run_storm
from storm.scenarios import Result
from vfio import demonstrate
from vfio.demonstrate import Report
from vfio.transfers import IO_ERROR, LOST_DEVICE, LOST_EMULATOR, OK, QTEST, WRONG

VERDICTS = (OK, WRONG, IO_ERROR, LOST_DEVICE, LOST_EMULATOR)
Say = Callable[[str], None]


def requests(host: Host, ours: Path, accelerator: tuple[str, ...], work: Path, say: Say) -> Report:
    """All requests on that host."""
    vm = host.outer_vm(emptied(work))
    return demonstrate.run_in(vm, [made.compared(ours, host, accelerator) for made in asked.ALL], work, say)


def revocations(host: Host, ours: Path, work: Path, say: Say) -> list[Result]:
    """All storms on that host."""
    vm = host.outer_vm(emptied(work))
    planned = storms.all_storms(str(ours), host.has_power)
    return run_storm.run(planned, work, lambda result: say(run_storm.line(result)), vm, storms.SECONDS)


def unpacked(packages: Path, work: Path) -> Path:
    """The emulator of a folder of Debian packages; the hosts have what it needs beside it."""
    (package,) = packages.glob("qemu-system-arm_*_arm64.deb")
    subprocess.run(["dpkg-deb", "--extract", package, emptied(work)], check=True)
    return work / "usr/bin/qemu-system-aarch64"


def emptied(work: Path) -> Path:
    """The folder, with nothing of an earlier run."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return work


def table(report: Report) -> str:
    """For each memory and cache mode, what became of the requests on each emulator."""
    rows = []
    for memory in MEMORIES:
        for drive in dict.fromkeys(made.drive for made in asked.ALL):
            cells = [cell(report, Asked(who, memory, drive)) for who in (OURS, STOCK, DIRECT)]
            rows.append(f"| {memory} | {drive} | {' | '.join(cells)} |")
    head = f"| BAR | disk | {OURS} | {STOCK} | {DIRECT} |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def cell(report: Report, made: Asked) -> str:
    """How many requests of one emulator ended how."""
    verdicts = [outcome.verdict for outcome in report.of(made.name)]
    counts = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) or "-"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--arm64", type=Path, help="qemu-system-aarch64 with the series")
    given.add_argument("--packages", type=Path, help="a folder that `make deb ARCH=arm64` has made")
    parser.add_argument("--work", type=Path, required=True, help="folder for the memory, the disks and the logs")
    names = [host.name for host in HOSTS]
    parser.add_argument("--host", action="append", choices=names, help="only this one (can be given again)")
    chosen = parser.parse_args()
    work = chosen.work.resolve()
    ours = (chosen.arm64 or unpacked(chosen.packages, work / "packages")).resolve()
    if not os.access(ours, os.X_OK):
        parser.error(f"{ours} is no program")
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:6.1f} s] {text}", flush=True)

    failed, nothing_was_run = False, True
    for host in HOSTS:
        if chosen.host and host.name not in chosen.host:
            continue
        say(f"a host with {host.name}")
        try:
            report = requests(host, ours, STOPPED if chosen.packages else QTEST, work / "requests", say)
            results = [] if chosen.packages else revocations(host, ours, work / "revocations", say)
        except NotAvailable as reason:
            say(f"{host.name} isn't to be had: {reason}")
            continue
        except MachineError as error:
            parser.exit(1, f"{error}\n")
        nothing_was_run = False
        missed = [made for made in report.outcomes if made.variant.startswith(OURS) and made.verdict != OK]
        broken = [result for result in results if not result.works or result.wrong]
        print(f"\n{host.name}\n\n{table(report)}\n\n{run_storm.summary(results)}\n")
        print("\n".join([*map(demonstrate.sentence, missed), *report.differences, *map(run_storm.line, broken)]))
        failed |= bool(missed or report.differences or broken)
    return 1 if failed or nothing_was_run else 0


if __name__ == "__main__":
    sys.exit(main())
