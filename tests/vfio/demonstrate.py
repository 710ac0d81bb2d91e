#!/usr/bin/env -S python3 -P -S
# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows virtio-blk requests into a PCI BAR that the kernel's vfio-pci has assigned, without any GPU.

    demonstrate.py --patched EMULATOR [--stock EMULATOR] --work FOLDER

One outer VM is run; in it, each emulator makes the same requests between a disk and the BAR.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from doctor.asking import Run
from machines import outer_vm
from machines.error import MachineError
from machines.outer_vm import OuterVm
from tables.columns import aligned
from vfio.inside import RESULTS_FILE
from vfio.transfers import (
    BAR_FILE,
    DESCRIPTOR_COUNTS,
    DIRECTIONS,
    DISK_FILE,
    FILE_SIZE,
    KIB,
    OK,
    SIZES,
    Compared,
    Outcome,
    Transfer,
    Variant,
    differences,
    plan,
    prepare,
)

STOCK, PATCHED = "stock", "patched"
TIMEOUT = 1200.0


@dataclass(frozen=True)
class Report:
    """All that one run has shown; `bars` is the property that vfio-pci has then, if it has it, and `doctor` what
    tools/doctor.py says at the end."""

    variants: list[Variant]
    outcomes: list[Outcome]
    bar_lines: dict[str, list[str]]
    savevm: dict[str, str]
    bars: dict[str, list[dict[str, Any]]]
    doctor: dict[str, Run]
    interrupted: dict[str, str]
    differences: list[str]

    def of(self, variant: str, direction: str | None = None, size: int | None = None) -> list[Outcome]:
        """The outcomes of one variant, in one direction or of one size if these are given."""
        return [
            outcome
            for outcome in self.outcomes
            if outcome.variant == variant
            and direction in (None, outcome.transfer.direction)
            and size in (None, outcome.transfer.size)
        ]


def compared(patched: Path, stock: Path | None) -> list[Compared]:
    """The emulators, as run() takes them."""
    found = [Compared(STOCK, stock.resolve())] if stock else []
    return [*found, Compared(PATCHED, patched.resolve())]


def run(emulators: Sequence[Compared], work: Path, progress: Callable[[str], None]) -> Report:
    """Run the outer VM once over all emulators, and compare what the host then sees."""
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    progress("getting the outer VM's kernel")
    memory = f"memory-backend-file,id=bar,size={FILE_SIZE},mem-path={work / BAR_FILE},share=on"
    devices = ("-object", memory, "-device", "ivshmem-plain,memdev=bar", "-device", "edu")
    return run_in(replace(outer_vm.usual(), devices=devices), emulators, work, progress)


def run_in(vm: OuterVm, emulators: Sequence[Compared], work: Path, progress: Callable[[str], None]) -> Report:
    """The same in that outer VM, which has the device that is assigned."""
    variants = plan(emulators)
    prepare(work, variants)
    outcomes: list[Outcome] = []
    bar_lines: dict[str, list[str]] = {}
    savevm: dict[str, str] = {}
    bars: dict[str, list[dict[str, Any]]] = {}
    doctor: dict[str, Run] = {}
    interrupted: dict[str, str] = {}

    def take(line: str) -> None:
        result = json.loads(line)
        if "mtree" in result:
            lines = [text.strip() for text in result["mtree"]["text"].splitlines()]
            told = [text for text in lines if "ramd" in text or ("BAR" in text and text.endswith("]"))]
            bar_lines[result["mtree"]["variant"]] = list(dict.fromkeys(told))
        elif "savevm" in result:
            savevm[result["savevm"]["variant"]] = result["savevm"]["text"].strip()
        elif "interrupted" in result:
            interrupted.update(result["interrupted"])
        elif "bars" in result:
            bars[result["bars"]["variant"]] = result["bars"]["value"]
        elif "doctor" in result:
            doctor[result["doctor"]["variant"]] = Run(**result["doctor"]["run"])
        else:
            outcome = result["outcome"]
            outcomes.append(Outcome(**{**outcome, "transfer": Transfer(**outcome["transfer"])}))
            progress(f"{len(outcomes)}/{sum(len(v.transfers) for v in variants)} {sentence(outcomes[-1])}")

    progress("starting the outer VM")
    vm.run(
        work,
        command=vm.python(Path(__file__).with_name("inside.py"), str(work)),
        devices=["-drive", f"if=virtio,format=raw,file={work / DISK_FILE}"],
        timeout=TIMEOUT,
        follow=work / RESULTS_FILE,
        on_line=take,
    )
    differing = differences(work, variants, outcomes)
    return Report(variants, outcomes, bar_lines, savevm, bars, doctor, interrupted, differing)


def sentence(outcome: Outcome) -> str:
    """One outcome in one line."""
    transfer = outcome.transfer
    asked = f"{transfer.size} B {transfer.direction} in {transfer.descriptors} descriptor(s)"
    return f"{outcome.variant}: {asked}: {outcome.verdict}"


def table(report: Report) -> str:
    """Sizes and directions down, variants across; a cell tells the descriptor counts apart if they differ."""
    names = [variant.name for variant in report.variants]
    rows = [["request", *names]]
    for size in SIZES:
        for direction in DIRECTIONS:
            cells = []
            for name in names:
                verdicts = {made.transfer.descriptors: made.verdict for made in report.of(name, direction, size)}
                if len(set(verdicts.values())) == 1:
                    cells.append(f"{verdicts[DESCRIPTOR_COUNTS[0]]}, {' and '.join(map(str, verdicts))} descriptors")
                else:
                    cells.append(", ".join(f"{count}: {found}" for count, found in verdicts.items()))
            shown = f"{size} B" if size < KIB else f"{size // KIB} KiB"
            rows.append([f"{shown:>8} {direction}", *cells])
    return aligned(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patched", type=Path, required=True, help="qemu-system-aarch64 with the series")
    parser.add_argument("--stock", type=Path, help="the same without it (default: that in stock/ beside, if any)")
    parser.add_argument("--work", type=Path, required=True, help="folder for the BAR's memory, the disk and the logs")
    chosen = parser.parse_args()
    if missing := outer_vm.missing_packages():
        parser.exit(1, f"install {' '.join(missing)} first\n")
    for emulator in filter(None, (chosen.patched, chosen.stock)):
        if not os.access(emulator, os.X_OK):
            parser.error(f"{emulator} is no program")
    beside = chosen.patched.parent.parent / "stock" / chosen.patched.name
    stock = chosen.stock or (beside if os.access(beside, os.X_OK) else None)
    begun = time.monotonic()

    def progress(text: str) -> None:
        print(f"[{time.monotonic() - begun:5.1f} s] {text}", flush=True)

    try:
        report = run(compared(chosen.patched, stock), chosen.work, progress)
    except MachineError as failed:
        parser.exit(1, f"{failed}\n")
    print(f"\n{table(report)}\n")
    if not stock:
        print("`make check` gets QEMU without the series too, and compares with it.\n")
    for variant in report.variants:
        print(f"{variant.name}: the BAR in `info mtree`:")
        print("\n".join(f"    {line}" for line in report.bar_lines[variant.name]))
        if messages := [made.message for made in report.of(variant.name) if made.message]:
            print(f"  it had something to say at {len(messages)} requests; at the first of them:")
            print("\n".join(f"    {line}" for line in messages[0].splitlines()))
    print("\nThe BAR's memory and the disk as the host sees them, compared whole:")
    print("\n".join(report.differences) or "all that succeeded is there, and nothing else has changed.")
    asked = report.of(PATCHED)
    made = sum(outcome.verdict == OK for outcome in asked)
    print(f"\nThe patched emulator made {made} of {len(asked)} requests, with equal contents on both sides.")
    return 0 if made == len(asked) and not report.differences else 1


if __name__ == "__main__":
    sys.exit(main())
