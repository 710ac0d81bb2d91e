# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows what a device sees of the accesses that a guest, or an emulated device's DMA, makes to its BAR.

    observe.py --patched EMULATOR [--stock EMULATOR] --work FOLDER

One outer VM is run. Its NVMe controller's memory BAR is emulated, so that the outer emulator can tell each load and
store that arrives there; the kernel's vfio-pci assigns it to the inner emulators, one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from device_side import outer_trace, table
from device_side.accesses import actions, ring_requests, scsi_request
from device_side.planned import (
    DIRECT,
    DISK_FILE,
    INSTRUCTIONS,
    PATCHED,
    PLAN_FILE,
    RESULTS_FILE,
    STOCK,
    TRACE_FILE,
    Machine,
    disk_size,
    instructions,
    marker,
)
from device_side.report import Observed, Report
from machines import outer_vm
from machines.error import MachineError

NVME_OPTIONS = "nvme,serial=device-side,cmb_size_mb=1,legacy-cmb=on"
TIMEOUT = 600.0


def run(patched: Path, stock: Path | None, work: Path, progress: Callable[[str], None]) -> Report:
    """Run the outer VM once over all emulators, and read what its device has seen."""
    machines = [Machine(STOCK, str(stock.resolve()), "")] if stock else []
    machines += [
        Machine(PATCHED, str(patched.resolve()), ""),
        Machine(DIRECT, str(patched.resolve()), "x-ram-device-direct=on"),
    ]
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    disk = random.Random("disk").randbytes(disk_size(len(machines)))
    (work / DISK_FILE).write_bytes(disk)
    (work / PLAN_FILE).write_text(json.dumps([asdict(machine) for machine in machines]))
    (work / TRACE_FILE).unlink(missing_ok=True)
    bar_lines: dict[str, list[str]] = {}
    wrong_reads: dict[str, list[int]] = {machine.name: [] for machine in machines}

    def take(line: str) -> None:
        ((kind, told),) = json.loads(line).items()
        if kind == "mtree":
            lines = [text.strip() for text in told["text"].splitlines() if "ramd" in text]
            bar_lines[told["machine"]] = list(dict.fromkeys(lines))
        elif kind == "wrong":
            wrong_reads[told["machine"]].append(told["action"])
        else:
            progress(f"{told['machine']} has made {len(actions())} actions")

    progress("getting the outer VM's kernel")
    kernel = outer_vm.debian_kernel()
    progress("starting the outer VM")
    outer_vm.run(
        kernel,
        work,
        command=outer_vm.python(Path(__file__).with_name("inside.py"), str(work)),
        devices=[
            "-device", NVME_OPTIONS,
            "-drive", f"if=virtio,format=raw,cache=unsafe,file={work / DISK_FILE}",
            *outer_trace.arguments(work / TRACE_FILE),
        ],
        timeout=TIMEOUT,
        follow=work / RESULTS_FILE,
        on_line=take,
    )  # fmt: skip
    seen = outer_trace.read(work / TRACE_FILE)
    return Report(
        observed={
            machine.name: Observed(
                place,
                bar_lines[machine.name],
                wrong_reads[machine.name],
                {number: seen[marker(place, number)] for number in asked(machine)},
            )
            for place, machine in enumerate(machines)
        },
        instructions={
            access: [one.access for one in seen[marker(INSTRUCTIONS, number)]]
            for number, access in enumerate(instructions(), start=1)
        },
        disk_before=disk,
        disk_after=(work / DISK_FILE).read_bytes(),
    )


def asked(machine: Machine) -> range:
    """The numbers of what an emulator is asked for; the last one is too long for stock."""
    return range(ring_requests().stop if machine.name == STOCK else scsi_request().number + 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patched", type=Path, required=True, help="qemu-system-aarch64 with the series")
    parser.add_argument("--stock", type=Path, help="qemu-system-aarch64 without it, to compare with")
    parser.add_argument("--work", type=Path, required=True, help="folder for the disk, the trace (100 MB) and the logs")
    chosen = parser.parse_args()
    if missing := outer_vm.missing_packages():
        parser.exit(1, f"install {' '.join(missing)} first\n")
    for emulator in filter(None, (chosen.patched, chosen.stock)):
        if not os.access(emulator, os.X_OK):
            parser.error(f"{emulator} is no program")
    begun = time.monotonic()
    try:
        report = run(
            chosen.patched,
            chosen.stock,
            chosen.work,
            lambda text: print(f"[{time.monotonic() - begun:5.1f} s] {text}", flush=True),
        )
    except MachineError as failed:
        parser.exit(1, f"{failed}\n")
    print(f"\n{table.examples(report)}\n\n{table.counts(report)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
