#!/usr/bin/env -S python3 -P -S
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the matrix, and prints what became of its combinations, emulators side by side.

    run_matrix.py --patched EMULATOR [--stock EMULATOR] --work FOLDER [--where host|vm] [--part] [--plots FOLDER]

The patched emulator is also run with x-ram-device-direct=on. On the host the BARs are the test device's, which stock
hasn't got. In the outer VM the kernel's vfio-pci assigns them, and refuses O_DIRECT into them. The whole takes hours;
--part is what `make check` runs of it on the host, and `make check-all` in the outer VM. --plots, which wants
matplotlib (tests/tables/requirements.txt), draws a heat map of each.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from machines import outer_vm
from machines.error import MachineError
from matrix import jobs, selection, stores, table
from matrix.cases import expected, expected_of_direct
from matrix.dimensions import Case
from matrix.jobs import Job, Outcome
from matrix.machine import DIRECT, PATCHED, STOCK, Bars, Variant
from matrix.runner import Runner
from tables import plotting

HOURS = 3600.0


@dataclass
class Report:
    """What became of the cases, and where whole memories or disks weren't as they had to be."""

    outcomes: list[Outcome] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def unexpected(self, variant: str, wanted: Callable[[Case], str | None] = expected) -> list[Outcome]:
        """What has gone otherwise on this emulator than a function of cases.py says."""
        return [
            outcome
            for outcome in self.outcomes
            if outcome.variant == variant and wanted(outcome.case) not in (None, outcome.verdict)
        ]


Progress = Callable[[Outcome], None]


def run_on_host(todo: Sequence[Job], work: Path, progress: Progress, bars: Bars = None) -> Report:
    """Carry the jobs out right here; the images are in the work folder."""
    report = Report()
    work.mkdir(parents=True, exist_ok=True)
    runner = Runner(work, work, lambda _, device: work / f"{device.replace(', ', '-')}.img", bars)
    for job in todo:
        for outcome in runner.run(job):
            report.outcomes.append(outcome)
            progress(outcome)
        report.differences += runner.take_differences()
    return report


def run_in_vm(todo: Sequence[Job], work: Path, timeout: float, progress: Progress) -> Report:
    """Carry the jobs out in one outer VM."""
    report = Report()
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    jobs.write(work, todo)

    def take(line: str) -> None:
        result = json.loads(line)
        if "difference" in result:
            report.differences.append(result["difference"])
        else:
            report.outcomes.append(jobs.outcome(result["outcome"]))
            progress(report.outcomes[-1])

    outer_vm.run(
        outer_vm.debian_kernel(),
        work,
        command=outer_vm.python(Path(__file__).with_name("inside.py"), str(work)),
        devices=stores.outer_devices(work),
        modules=stores.MODULES,
        timeout=timeout,
        follow=work / jobs.RESULTS_FILE,
        on_line=take,
    )
    return report


def text(report: Report) -> str:
    """The tables, and what was found to be wrong afterwards."""
    return "\n\n".join([
        table.summary(report.outcomes),
        table.table(report.outcomes, ("device", "cache", "aio"), table.by_disk),
        table.table(report.outcomes, ("device", "data in"), table.by_place),
        "Memory and disks compared whole when each inner machine had ended:\n"
        + ("\n".join(report.differences) or "all that was done is there, and nothing else has changed."),
    ])  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patched", type=Path, required=True, help="qemu-system-aarch64 with the series")
    parser.add_argument("--stock", type=Path, help="qemu-system-aarch64 without it, to compare with")
    parser.add_argument("--work", type=Path, required=True, help="folder for the disks and the logs")
    parser.add_argument("--where", choices=("host", "vm", "both"), default="both")
    parser.add_argument("--part", action="store_true", help="only those combinations that the tests run")
    parser.add_argument("--plots", type=Path, default=os.environ.get("RAM_DEVICE_PLOTS") or None,
                        help="a folder for heat maps")  # fmt: skip
    chosen = parser.parse_args()
    for emulator in filter(None, (chosen.patched, chosen.stock)):
        if not os.access(emulator, os.X_OK):
            parser.error(f"{emulator} is no program")
    patched = Variant(PATCHED, str(chosen.patched.resolve()))
    direct = Variant(DIRECT, patched.emulator)
    stock = [Variant(STOCK, str(chosen.stock.resolve()))] if chosen.stock else []
    begun = time.monotonic()

    def progress(outcome: Outcome) -> None:
        print(f"[{time.monotonic() - begun:6.1f} s] {sentence(outcome)}", flush=True)

    failed = False
    try:
        heat_map = plotting.module("matrix.heat_map") if chosen.plots else None
        for where in ("host", "vm") if chosen.where == "both" else (chosen.where,):
            if where == "host":
                on_host = selection.on_host_for_check if chosen.part else selection.on_host
                todo = on_host([patched, direct])
                report = run_on_host(todo, chosen.work / where, progress)
            else:
                in_vm = selection.in_vm_for_check_all if chosen.part else selection.in_vm
                todo = in_vm(patched, [*stock, direct])
                report = run_in_vm(todo, chosen.work / where, 6 * HOURS, progress)
            print(f"\nThe matrix, {where}:\n\n{text(report)}\n")
            if heat_map:
                print(f"-- {heat_map.draw(where, report.outcomes, chosen.plots)}")
            unexpected = report.unexpected(PATCHED)
            asked = [outcome for outcome in report.outcomes if outcome.variant == PATCHED]
            good = len(asked) - len(unexpected)
            print(f"{len(asked)} combinations on the patched emulator, {good} ok.")
            unexpected += report.unexpected(DIRECT, expected if where == "host" else expected_of_direct)
            for outcome in unexpected:
                print(f"not as it must be: {sentence(outcome)}")
            planned = sum(len(job.cases) for job in todo)
            if len(report.outcomes) != planned:
                print(f"only {len(report.outcomes)} combinations of {planned} were run")
            failed |= bool(unexpected or report.differences) or len(report.outcomes) != planned
    except MachineError as error:
        parser.exit(1, f"{error}\n")
    return 1 if failed else 0


def sentence(outcome: Outcome) -> str:
    """One outcome in one line."""
    case, disk = outcome.case, outcome.case.disk
    on = f" ({disk.store}, {disk.format}, cache={disk.cache}, aio={disk.aio})" if disk else ""
    said = f": {outcome.message.splitlines()[0]}" if outcome.message else ""
    asked = f"{case.operation} {case.size} B, {case.place}"
    return f"{outcome.variant}: {case.device}{on}: {asked}: {outcome.verdict}{said}"


if __name__ == "__main__":
    sys.exit(main())
